"""A list of blocks that read earlier outputs: one under the other, with a lane for each output that is read later.

Tests: tests/networks/test_wired.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from composer.blueprint.inspect.diagram.labels import join_sign
from composer.blueprint.inspect.diagram.pieces import GAP, LABELLED_GAP, LANE, RADIUS, join_width, wire
from composer.blueprint.inspect.diagram.sketch import Element, Join, Sketch, Wire
from composer.networks.outline import Outline
from composer.spec.shape import Shape

_FORK = 3.0
"""From the end of a block to where its output branches off."""


def wired(outline: Outline, sketches: Mapping[str, Sketch]) -> Sketch:
    """``sketches`` are those of the children, by name."""
    lanes = _lanes(outline)
    widths = [join_width(join_sign(outline.wires[name].join)) / 2 for name in sketches if outline.wires[name].joined]
    axis = LANE * len(lanes) + max([*widths, *(sketch.axis for sketch in sketches.values())])
    elements: list[Element] = [Wire(((axis, 0), (axis, _FORK)), False)]
    forks, y, before = {"": _FORK}, _FORK, ""
    given: Shape | None = None
    for name, sketch in sketches.items():
        read = outline.wires[name]
        top = y + (GAP if given is None else LABELLED_GAP)
        if read.reads == before:
            elements += wire(axis, y, top, given, sketch.takes_head)
        else:
            elements.append(_from_lane(axis, lanes[read.reads], forks[read.reads], top, sketch.takes_head))
        elements += sketch.moved(axis - sketch.axis, top)
        y = top + sketch.height
        if read.joined:
            sign = join_sign(read.join)
            meet = y + GAP + RADIUS
            elements.append(Wire(((axis, y), (axis, meet - RADIUS)), True))
            edge = axis - join_width(sign) / 2
            for source in read.joined:
                x, start = lanes[source], forks[source]
                elements.append(Wire(((axis, start), (x, start), (x, meet), (edge, meet)), True))
            elements.append(Join(axis, meet, join_width(sign), 2 * RADIUS, sign))
            y = meet + RADIUS
        elements.append(Wire(((axis, y), (axis, y + _FORK)), False))
        y += _FORK
        forks[name], before = y, name
        child = outline.children[name]
        given = child.output if child.output != child.input else None
    right = max([*widths, *(sketch.right for sketch in sketches.values())])
    return Sketch(axis + right, y, axis, tuple(elements), takes_head=False)


def _lanes(outline: Outline) -> dict[str, float]:
    """Where the outputs run that are read by more than the next block, by their child; the first one outermost."""
    found: dict[str, float] = {}
    before = ""
    for name, read in outline.wires.items():
        for source in (*([] if read.reads == before else [read.reads]), *read.joined):
            found.setdefault(source, 3.0 + LANE * len(found))
        before = name
    return found


def _from_lane(axis: float, lane: float, start: float, top: float, has_head: bool) -> Wire:
    between = top - GAP / 2
    return Wire(((axis, start), (lane, start), (lane, between), (axis, between), (axis, top)), has_head)
