"""From an outline to a sketch: positions of every box, wire and join of a network, by arithmetic alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from composer.blueprint.inspect.diagram import inputs, labels
from composer.blueprint.inspect.diagram.columns import in_columns
from composer.blueprint.inspect.diagram.pieces import (
    DETAIL_SIZE,
    HEIGHT,
    INSET,
    LABELLED_GAP,
    LEAST_WIDTH,
    NAME_SIZE,
    Piece,
    captioned,
    framed,
    passage,
    side_by_side,
    skipped,
    stacked,
    times,
    wire,
)
from composer.blueprint.inspect.diagram.sketch import Box, Sketch
from composer.blueprint.inspect.diagram.wired import wired
from composer.blueprint.inspect.equal_blocks import BlockGroup, grouped
from composer.blueprint.inspect.network_facts import Change, Input, touched
from composer.networks.blocks import Block
from composer.networks.outline import Outline
from composer.spec.shape import Shape


def network(outline: Outline, read: Sequence[Input] = (), changes: Sequence[Change] = ()) -> Sketch:
    """One copy of a network, with what it reads and the shape of its output; long ones in columns.

    ``read`` names the inputs; ``changes`` are marked on the boxes whose parameters they choose.
    """
    trunk, head = outline.children["trunk"], outline.children["head"]
    width = max(_box_width(trunk), _box_width(head), _needed(labels.head_name(head), head))
    drawing = _Drawing(width, changes)
    pieces = [*drawing.pieces({"trunk": trunk}, ""), drawing.head(head)]
    body, leaves = in_columns([(piece, shape) for piece, shape in pieces[:-1]] + [pieces[-1]])
    known = read or (Input("", outline.input),)
    entry, label = inputs.entry(known, width), inputs.label(known, labels.shape_label(outline.input))
    axis, top = max(entry.axis, body.axis), entry.height + LABELLED_GAP
    left = axis - body.axis
    elements = [
        *entry.moved(axis - entry.axis, 0),
        *wire(axis, entry.height, top, label, body.takes_head),
        *body.moved(left, top),
    ]
    right = max(entry.right, body.right, 4 + labels.text_width(label, DETAIL_SIZE))
    height = top + body.height
    if not body.is_open:
        end = top + leaves[1]
        elements += wire(left + leaves[0], end, end + LABELLED_GAP, outline.output, True)
        height = max(height, end + LABELLED_GAP)
    return Sketch(axis + right, height, axis, tuple(elements), takes_head=False, overhang=0.0)


class _Drawing:
    """Draws a network with boxes of one width, each with the numbers of the changes that touch it."""

    def __init__(self, width: float, changes: Sequence[Change]) -> None:
        self._width = width
        self._changes = [change for change in changes if not change.is_of_all]

    def pieces(self, children: Mapping[str, Outline], path: str) -> list[Piece]:
        """Children in a row, those of sequences included; equal ones are one frame with their number."""
        found: list[Piece] = []
        for group in self._groups(children, path):
            below = f"{path}{group.names[0]}."
            if len(group.names) > 1:
                repeated = times(self.sketch(group.outline, below), f"× {len(group.names)}")
                found.append((repeated, _changed(group.outline)))
            elif group.outline.children and _is_a_row(group.outline):
                found += self.pieces(group.outline.children, below)
            else:
                found.append((self.sketch(group.outline, below), _changed(group.outline)))
        return found

    def head(self, outline: Outline) -> Piece:
        """A head under its name; a head of one layer is one box."""
        (first, *others) = outline.children.values() or (outline,)
        name, path = labels.head_name(outline), "head."
        if outline.layout == "leaf" or (not others and not first.children):
            return self._box(outline, name, path), _changed(outline)
        if outline.layout == "parallel" and not outline.join:
            branches = [self._branch(group, path, True) for group in self._groups(outline.children, path)]
            return framed(side_by_side(branches, None), name), None
        return framed(self._composed(outline, path), name), _changed(outline)

    def sketch(self, outline: Outline, path: str) -> Sketch:
        """Draw any block."""
        if not outline.children or outline.layout == "leaf":
            is_wire = Block.of(outline).is_chain
            return passage() if is_wire else self._box(outline, labels.box_name(outline), path)
        whole = self._composed(outline, path)
        is_told = outline.layout != "sequence" or _is_a_row(outline)
        return whole if is_told else framed(whole, labels.kind_name(outline.kind))

    def _composed(self, outline: Outline, path: str) -> Sketch:
        if outline.layout in ("residual", "bypass"):
            pieces = self.pieces(outline.children, path)
            return skipped(stacked(pieces), pieces[-1][1], labels.join_sign(outline.join or outline.kind))
        if outline.layout == "wired":
            return wired(outline, {name: self._alone(name, child, path) for name, child in outline.children.items()})
        if outline.layout == "parallel":
            branches = [self._branch(group, path, False) for group in self._groups(outline.children, path)]
            return side_by_side(branches, labels.join_sign(outline.join or outline.kind))
        return stacked(self.pieces(outline.children, path))

    def _alone(self, name: str, outline: Outline, path: str) -> Sketch:
        return stacked(self.pieces({name: outline}, path))

    def _branch(self, group: BlockGroup, path: str, is_output: bool) -> Piece:
        pieces = self.pieces({group.names[0]: group.outline}, path)
        sketch, given = stacked(pieces), pieces[-1][1] if pieces else None
        given = group.outline.output if is_output else given
        if len(group.names) > 1:
            return times(sketch, f"× {len(group.names)} in parallel"), given
        return (sketch if group.label.isdigit() else captioned(sketch, group.label.replace("_", " "))), given

    def _box(self, outline: Outline, name: str, path: str) -> Sketch:
        is_frozen = bool(outline.count()) and not outline.count(trainable_only=True)
        detail = labels.count_label(outline)
        marks = tuple(sorted({number for number, _ in touched(self._changes, path)}))
        box = Box(0, 0, self._width, HEIGHT, name, detail, labels.tone(outline), is_frozen, marks)
        return Sketch(self._width, HEIGHT, self._width / 2, (box,))

    def _groups(self, children: Mapping[str, Outline], path: str) -> Iterator[BlockGroup]:
        """Equal neighbours that the same changes touch in the same places."""
        return grouped(children, lambda name: touched(self._changes, f"{path}{name}."))


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
