"""From an outline to a sketch: positions of every box, wire and join of a network, by arithmetic alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from composer.blueprint.inspect.diagram import labels
from composer.blueprint.inspect.diagram.sketch import Box, Element, Frame, Join, Sketch, Text, Wire
from composer.blueprint.inspect.equal_blocks import BlockGroup, grouped
from composer.networks.blocks import Block
from composer.networks.outline import Outline
from composer.spec.shape import Shape

NAME_SIZE, DETAIL_SIZE = 7.5, 6.5
"""Sizes of the texts in a box, in points."""
HEIGHT, LEAST_WIDTH, INSET = 16.0, 84.0, 6.0
"""Of a box, and of a text from its edge."""
GAP, LABELLED_GAP = 9.0, 16.0
"""Between boxes: without and with a shape beside the wire."""
LANE, PAD, APART = 11.0, 7.0, 14.0
"""Room of a path that skips a block; of a frame around its content; between branches."""
RADIUS = 4.5
"""Of the circle in which paths meet."""


def network(outline: Outline) -> Sketch:
    """One copy of a network, with the shapes of its input and of its output."""
    trunk, head = outline.children["trunk"], outline.children["head"]
    drawing = _Drawing(max(_box_width(trunk), _box_width(head), _needed(labels.head_name(head), head)))
    pieces = [*drawing.pieces({"trunk": trunk}), drawing.head(head)]
    body = _stacked([(piece, shape) for piece, shape in pieces[:-1]] + [pieces[-1]])
    top = LABELLED_GAP
    elements = [*_wire(body.axis, 0, top, outline.input, body.takes_head), *body.moved(0, top)]
    height = top + body.height
    if not body.is_open:
        elements += _wire(body.axis, height, height + LABELLED_GAP, outline.output, True)
        height += LABELLED_GAP
    return Sketch(body.width, height, body.axis, tuple(elements), takes_head=False, overhang=0.0)


Piece = tuple[Sketch, Shape | None]
"""A sketch, and its output shape where that differs from its input shape."""


class _Drawing:
    """Draws a network with boxes of one width."""

    def __init__(self, width: float) -> None:
        self._width = width

    def pieces(self, children: Mapping[str, Outline]) -> list[Piece]:
        """Children in a row, those of sequences included; equal ones are one frame with their number."""
        found: list[Piece] = []
        for group in grouped(children):
            if len(group.names) > 1:
                found.append((_times(self.sketch(group.outline), f"× {len(group.names)}"), _changed(group.outline)))
            elif group.outline.children and _is_a_row(group.outline):
                found += self.pieces(group.outline.children)
            else:
                found.append((self.sketch(group.outline), _changed(group.outline)))
        return found

    def head(self, outline: Outline) -> Piece:
        """A head under its name; a head of one layer is one box."""
        (first, *others) = outline.children.values() or (outline,)
        name = labels.head_name(outline)
        if outline.layout == "leaf" or (not others and not first.children):
            return self._box(outline, name), _changed(outline)
        if outline.layout == "parallel" and not outline.join:
            branches = [self._branch(group, True) for group in grouped(outline.children)]
            return _framed(_side_by_side(branches, None), name), None
        return _framed(self._composed(outline), name), _changed(outline)

    def sketch(self, outline: Outline) -> Sketch:
        """Draw any block."""
        if not outline.children or outline.layout == "leaf":
            return _passage() if Block.of(outline).is_chain else self._box(outline, labels.box_name(outline))
        whole = self._composed(outline)
        is_told = outline.layout != "sequence" or _is_a_row(outline)
        return whole if is_told else _framed(whole, labels.kind_name(outline.kind))

    def _composed(self, outline: Outline) -> Sketch:
        if outline.layout == "residual":
            return self._residual(outline)
        if outline.layout == "parallel":
            branches = [self._branch(group, False) for group in grouped(outline.children)]
            return _side_by_side(branches, labels.join_sign(outline))
        return _stacked(self.pieces(outline.children))

    def _residual(self, outline: Outline) -> Sketch:
        pieces = self.pieces(outline.children)
        return _skipped(_stacked(pieces), pieces[-1][1], labels.join_sign(outline))

    def _branch(self, group: BlockGroup, is_output: bool) -> Piece:
        pieces = self.pieces({group.names[0]: group.outline})
        sketch, given = _stacked(pieces), pieces[-1][1] if pieces else None
        given = group.outline.output if is_output else given
        if len(group.names) > 1:
            return _times(sketch, f"× {len(group.names)} in parallel"), given
        return (sketch if group.label.isdigit() else _captioned(sketch, group.label.replace("_", " "))), given

    def _box(self, outline: Outline, name: str) -> Sketch:
        is_frozen = bool(outline.count()) and not outline.count(trainable_only=True)
        detail = labels.count_label(outline)
        box = Box(0, 0, self._width, HEIGHT, name, detail, labels.tone(outline), is_frozen)
        return Sketch(self._width, HEIGHT, self._width / 2, (box,))


def _is_a_row(outline: Outline) -> bool:
    """Whether a block is only its children in a row, and needs no frame around them."""
    stops = outline.stops_gradients and not any(child.stops_gradients for child in outline.children.values())
    return outline.layout == "sequence" and not (outline.parameters or outline.buffers or outline.flops or stops)


def _changed(outline: Outline) -> Shape | None:
    return outline.output if outline.output != outline.input else None


def _box_width(outline: Outline) -> float:
    """Wide enough for every box below."""
    is_box = not outline.children or outline.layout == "leaf"
    own = _needed(labels.box_name(outline), outline) if is_box else LEAST_WIDTH
    return max(own, LEAST_WIDTH, *map(_box_width, outline.children.values()))


def _needed(name: str, outline: Outline) -> float:
    detail = labels.text_width(labels.count_label(outline), DETAIL_SIZE)
    return labels.text_width(name, NAME_SIZE) + detail + 3 * INSET


def _passage() -> Sketch:
    """The identity: a piece of wire."""
    return Sketch(0, 1, 0, (Wire(((0, 0), (0, 1)), False),), takes_head=False)


def _wire(x: float, top: float, bottom: float, shape: Shape | None, has_head: bool) -> list[Element]:
    """A wire downwards, with a shape beside it."""
    text = [Text(x + 4, (top + bottom) / 2 - 0.5, labels.shape_label(shape), "shape")] if shape is not None else []
    return [Wire(((x, top), (x, bottom)), has_head), *text]


def _stacked(pieces: Sequence[Piece]) -> Sketch:
    """One under the other on one axis."""
    if not pieces:
        return _passage()
    axis = max(sketch.axis for sketch, _ in pieces)
    right = max(sketch.right for sketch, _ in pieces)
    elements: list[Element] = []
    y = 0.0
    for index, (sketch, _) in enumerate(pieces):
        if index:
            shape = pieces[index - 1][1]
            gap = LABELLED_GAP if shape is not None else GAP
            elements += _wire(axis, y, y + gap, shape, sketch.takes_head)
            right = max(right, 8 + labels.text_width(labels.shape_label(shape or ()), DETAIL_SIZE))
            y += gap
        elements += sketch.moved(axis - sketch.axis, y)
        y += sketch.height
    first, last = pieces[0][0], pieces[-1][0]
    return Sketch(axis + right, y, axis, tuple(elements), first.takes_head, last.overhang)


def _skipped(inner: Sketch, given: Shape | None, sign: str) -> Sketch:
    """A block beside a path around it; the two meet under it."""
    width = _join_width(sign)
    below = LABELLED_GAP if given is not None else GAP
    axis, fork = max(inner.axis, width / 2) + LANE, 3.0
    top = fork + GAP
    meet = top + inner.height + below + RADIUS
    skip = ((axis, fork), (3.0, fork), (3.0, meet), (axis - width / 2, meet))
    elements = [
        Wire(((axis, 0), (axis, top)), inner.takes_head),
        *inner.moved(axis - inner.axis, top),
        *_wire(axis, top + inner.height, meet - RADIUS, given, True),
        Wire(skip, True),
        Join(axis, meet, width, 2 * RADIUS, sign),
    ]
    right = max(inner.right, width / 2)
    return Sketch(axis + right, meet + RADIUS, axis, tuple(elements), takes_head=False)


def _join_width(sign: str) -> float:
    return 2 * RADIUS if sign in ("+", "×") else labels.text_width(sign, DETAIL_SIZE) + 2 * INSET


def _side_by_side(branches: Sequence[Piece], sign: str | None) -> Sketch:
    """Branches of one input. They meet in ``sign``; without one each ends in an output of its own."""
    fork = 3.0
    top = fork + GAP
    lowest = top + max(sketch.height for sketch, _ in branches)
    meet = lowest + (GAP if all(given is None for _, given in branches) else LABELLED_GAP) + RADIUS
    lefts = [sum(sketch.width + APART for sketch, _ in branches[:index]) for index in range(len(branches))]
    axes = [left + sketch.axis for left, (sketch, _) in zip(lefts, branches, strict=True)]
    # Over the branch in the middle, or between the two there.
    middle = (axes[(len(axes) - 1) // 2] + axes[len(axes) // 2]) / 2
    elements: list[Element] = [Wire(((middle, 0), (middle, fork)), False)]
    for left, axis, (sketch, given) in zip(lefts, axes, branches, strict=True):
        elements += [Wire(((middle, fork), (axis, fork), (axis, top)), sketch.takes_head), *sketch.moved(left, top)]
        bottom = top + sketch.height
        if sign is None:
            elements.append(Wire(((axis, bottom), (axis, lowest + PAD)), False))
            elements += _wire(axis, lowest + PAD, lowest + PAD + LABELLED_GAP, given, True)
        else:
            elements += _towards(axis, bottom, middle, meet, _join_width(sign), given)
    width = lefts[-1] + branches[-1][0].width
    if sign is None:
        height = lowest + PAD + LABELLED_GAP
        return Sketch(width, height, middle, tuple(elements), takes_head=False, overhang=LABELLED_GAP)
    elements.append(Join(middle, meet, _join_width(sign), 2 * RADIUS, sign))
    return Sketch(width, meet + RADIUS, middle, tuple(elements), takes_head=False)


def _towards(x: float, y: float, middle: float, meet: float, width: float, given: Shape | None) -> list[Element]:
    """The wire from the end of a branch to where branches meet."""
    label = _wire(x, y, y + LABELLED_GAP, given, False)
    if abs(x - middle) <= width / 2:
        return [*label[1:], Wire(((x, y), (x, meet - RADIUS)), True)]
    edge = middle - width / 2 if x < middle else middle + width / 2
    return [*label[1:], Wire(((x, y), (x, meet), (edge, meet)), True)]


def _times(inner: Sketch, label: str) -> Sketch:
    """A dashed frame around a repeated block; ``label`` says how often."""
    frame = Frame(0, 0, inner.width + 2 * PAD, inner.height + 2 * PAD, True)
    text = Text(frame.width + 4, frame.height / 2, label, "times")
    return _in_frame(inner, PAD, PAD, frame, text, frame.width + 4 + labels.text_width(label, NAME_SIZE))


def _framed(inner: Sketch, caption: str) -> Sketch:
    """A frame around a block of several operations, with its name left of the input."""
    above = PAD + DETAIL_SIZE + 2
    left = max(PAD, labels.text_width(caption, DETAIL_SIZE) + 2 * INSET - inner.axis)
    frame = Frame(0, 0, left + inner.width + PAD, above + inner.height - (inner.overhang or -PAD), False)
    return _in_frame(inner, left, above, frame, Text(INSET, 7.5, caption, "caption"), frame.width)


def _in_frame(inner: Sketch, left: float, above: float, frame: Frame, text: Text, width: float) -> Sketch:
    axis, bottom = left + inner.axis, above + inner.height
    elements: list[Element] = [frame, text, Wire(((axis, 0), (axis, above)), inner.takes_head)]
    elements += inner.moved(left, above)
    if inner.is_open:
        return Sketch(width, bottom, axis, tuple(elements), takes_head=False, overhang=inner.overhang)
    elements.append(Wire(((axis, bottom), (axis, frame.height)), False))
    return Sketch(width, frame.height, axis, tuple(elements), takes_head=False)


def _captioned(inner: Sketch, caption: str) -> Sketch:
    """A branch with its name above it."""
    above = DETAIL_SIZE + 4
    wire = Wire(((inner.axis, 0), (inner.axis, above)), inner.takes_head)
    text = Text(inner.axis + 4, above / 2, caption, "caption")
    right = max(inner.right, 4 + labels.text_width(caption, DETAIL_SIZE))
    return Sketch(
        inner.axis + right, inner.height + above, inner.axis, (wire, text, *inner.moved(0, above)), takes_head=False
    )
