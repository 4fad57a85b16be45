"""Long networks in columns: the wire goes on from the foot of one column to the top of the next."""

from __future__ import annotations

import math
from collections.abc import Sequence

from composer.blueprint.inspect.diagram import labels
from composer.blueprint.inspect.diagram.pieces import DETAIL_SIZE, GAP, LABELLED_GAP, Piece, stacked
from composer.blueprint.inspect.diagram.sketch import Element, Sketch, Text, Wire

COLUMN = 560.0
"""Points of height beyond which a network is broken into columns: a page of print."""
_GUTTER = 30.0
"""Between columns; the wire runs in its middle."""


def in_columns(pieces: Sequence[Piece]) -> tuple[Sketch, tuple[float, float]]:
    """The pieces in one column or more, and where the last of them ends."""
    whole = stacked(pieces)
    columns = _broken(pieces, whole.height) if whole.height > COLUMN else [[*pieces]]
    if len(columns) == 1:
        return whole, (whole.axis, whole.height)
    bodies = [stacked(column) for column in columns]
    top = 2 * GAP
    elements: list[Element] = []
    left = height = 0.0
    ends: list[tuple[float, float]] = []
    for index, body in enumerate(bodies):
        y = top if index else 0.0
        axis, end = left + body.axis, y + body.height
        if index:
            elements += _onward(ends[-1], (axis, y), left - _GUTTER / 2, body.takes_head, columns[index - 1][-1])
        elements += body.moved(left, y)
        ends.append((axis, end))
        is_last = index == len(bodies) - 1
        height = max(height, end if is_last else end + LABELLED_GAP)
        left += body.width + (0 if is_last else _GUTTER)
    first, last = bodies[0], bodies[-1]
    whole = Sketch(left, height, first.axis, tuple(elements), first.takes_head, last.overhang)
    return whole, ends[-1]


def _broken(pieces: Sequence[Piece], height: float) -> list[list[Piece]]:
    """Columns of about equal height: each piece is in the one in which its middle would be."""
    share = height / math.ceil(height / COLUMN)
    columns: dict[int, list[Piece]] = {}
    for index, piece in enumerate(pieces):
        middle = stacked(pieces[: index + 1]).height - piece[0].height / 2
        columns.setdefault(int(middle / share), []).append(piece)
    return list(columns.values())


def _onward(
    start: tuple[float, float], end: tuple[float, float], gutter: float, has_head: bool, before: Piece
) -> list[Element]:
    """The wire from the foot of a column, up through the gutter, to the top of the next one."""
    (x0, y0), (x1, y1) = start, end
    foot, head = y0 + LABELLED_GAP, y1 - GAP
    wire = Wire(((x0, y0), (x0, foot), (gutter, foot), (gutter, head), (x1, head), (x1, y1)), has_head)
    words = labels.shape_label(before[1]) if before[1] is not None else ""
    return [wire, Text(x0 + 4, y0 + DETAIL_SIZE, words, "shape")] if words else [wire]
