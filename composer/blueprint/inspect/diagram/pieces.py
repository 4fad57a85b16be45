"""How pieces of a figure are put together: in a row, around a skipping path, side by side, in a frame."""

from __future__ import annotations

from collections.abc import Sequence

from composer.blueprint.inspect.diagram import labels
from composer.blueprint.inspect.diagram.sketch import Element, Frame, Join, Sketch, Text, Wire
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


Piece = tuple[Sketch, Shape | None]
"""A sketch, and its output shape where that differs from its input shape."""


def passage() -> Sketch:
    """The identity: a piece of wire."""
    return Sketch(0, 1, 0, (Wire(((0, 0), (0, 1)), False),), takes_head=False)


def wire(x: float, top: float, bottom: float, shape: Shape | str | None, has_head: bool) -> list[Element]:
    """A wire downwards, with a shape or words beside it."""
    words = shape if isinstance(shape, str) else "" if shape is None else labels.shape_label(shape)
    text = [Text(x + 4, (top + bottom) / 2 - 0.5, words, "shape")] if words else []
    return [Wire(((x, top), (x, bottom)), has_head), *text]


def stacked(pieces: Sequence[Piece]) -> Sketch:
    """One under the other on one axis."""
    if not pieces:
        return passage()
    axis = max(sketch.axis for sketch, _ in pieces)
    right = max(sketch.right for sketch, _ in pieces)
    elements: list[Element] = []
    y = 0.0
    for index, (sketch, _) in enumerate(pieces):
        if index:
            shape = pieces[index - 1][1]
            gap = LABELLED_GAP if shape is not None else GAP
            elements += wire(axis, y, y + gap, shape, sketch.takes_head)
            right = max(right, 8 + labels.text_width(labels.shape_label(shape or ()), DETAIL_SIZE))
            y += gap
        elements += sketch.moved(axis - sketch.axis, y)
        y += sketch.height
    first, last = pieces[0][0], pieces[-1][0]
    return Sketch(axis + right, y, axis, tuple(elements), first.takes_head, last.overhang)


def skipped(inner: Sketch, given: Shape | None, sign: str) -> Sketch:
    """A block beside a path around it; the two meet under it."""
    width = join_width(sign)
    below = LABELLED_GAP if given is not None else GAP
    axis, fork = max(inner.axis, width / 2) + LANE, 3.0
    top = fork + GAP
    meet = top + inner.height + below + RADIUS
    skip = ((axis, fork), (3.0, fork), (3.0, meet), (axis - width / 2, meet))
    elements = [
        Wire(((axis, 0), (axis, top)), inner.takes_head),
        *inner.moved(axis - inner.axis, top),
        *wire(axis, top + inner.height, meet - RADIUS, given, True),
        Wire(skip, True),
        Join(axis, meet, width, 2 * RADIUS, sign),
    ]
    right = max(inner.right, width / 2)
    return Sketch(axis + right, meet + RADIUS, axis, tuple(elements), takes_head=False)


def join_width(sign: str) -> float:
    """Of the circle or pill in which paths meet."""
    return 2 * RADIUS if sign in ("+", "×") else labels.text_width(sign, DETAIL_SIZE) + 2 * INSET


def side_by_side(branches: Sequence[Piece], sign: str | None) -> Sketch:
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
            elements += wire(axis, lowest + PAD, lowest + PAD + LABELLED_GAP, given, True)
        else:
            elements += towards(axis, bottom, middle, meet, join_width(sign), given)
    width = lefts[-1] + branches[-1][0].width
    if sign is None:
        height = lowest + PAD + LABELLED_GAP
        return Sketch(width, height, middle, tuple(elements), takes_head=False, overhang=LABELLED_GAP)
    elements.append(Join(middle, meet, join_width(sign), 2 * RADIUS, sign))
    return Sketch(width, meet + RADIUS, middle, tuple(elements), takes_head=False)


def towards(x: float, y: float, middle: float, meet: float, width: float, given: Shape | None) -> list[Element]:
    """The wire from the end of a branch to where branches meet."""
    label = wire(x, y, y + LABELLED_GAP, given, False)
    if abs(x - middle) <= width / 2:
        return [*label[1:], Wire(((x, y), (x, meet - RADIUS)), True)]
    edge = middle - width / 2 if x < middle else middle + width / 2
    return [*label[1:], Wire(((x, y), (x, meet), (edge, meet)), True)]


def times(inner: Sketch, label: str) -> Sketch:
    """A dashed frame around a repeated block; ``label`` says how often."""
    frame = Frame(0, 0, inner.width + 2 * PAD, inner.height + 2 * PAD, True)
    text = Text(frame.width + 4, frame.height / 2, label, "times")
    return _in_frame(inner, PAD, PAD, frame, text, frame.width + 4 + labels.text_width(label, NAME_SIZE))


def framed(inner: Sketch, caption: str) -> Sketch:
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


def captioned(inner: Sketch, caption: str) -> Sketch:
    """A branch with its name above it."""
    above = DETAIL_SIZE + 4
    wire = Wire(((inner.axis, 0), (inner.axis, above)), inner.takes_head)
    text = Text(inner.axis + 4, above / 2, caption, "caption")
    right = max(inner.right, 4 + labels.text_width(caption, DETAIL_SIZE))
    return Sketch(
        inner.axis + right, inner.height + above, inner.axis, (wire, text, *inner.moved(0, above)), takes_head=False
    )
