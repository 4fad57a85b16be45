"""Draws the sketches of a blueprint's networks with matplotlib: the same bytes each time, text kept as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

from composer.blueprint.inspect.diagram import labels, layout, pieces
from composer.blueprint.inspect.diagram.sketch import Box, Element, Frame, Join, Mark, Sketch, Text, Wire, boxes
from composer.blueprint.inspect.network_facts import Change, NetworkFacts, network_facts
from composer.blueprint.schema import Blueprint
from composer.spec.quantities import counted

SUFFIXES: Final = (".svg", ".png", ".pdf")
MAX_BOXES: Final = 500
"""Larger figures are unreadable, and drawing them would take minutes."""
_MARGIN, _BETWEEN = 8.0, 36.0
_WIDEST = 1_500.0
"""Points of a row of networks: a page shows wider ones too small to be read."""
_INK: Final = "#222222"
_PALE: Final = "#5f6368"
_MARK: Final = "#b3541e"
_MARK_RADIUS, _LEGEND_LINE, _LEGEND_LETTERS = 4.2, 9.5, 62
_LONG_TEXT = 0.85
"""Of the width of a box's text: a long line has narrow letters too, and no box to stay in."""
_FILLS: Final = {"weights": ("#d9e7f4", "#3b6a97"), "vectors": ("#e4f0dc", "#55803d"), "plain": ("#f4f4f4", "#8c8c8c")}
_SIZES: Final = {"title": 9.5, "subtitle": 6.5, "caption": 6.5, "shape": 6.5, "times": 8.0, "legend": 6.5}
_STYLE: Final[Any] = {
    "svg.hashsalt": "composer",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial"],
}
# A date in the file would make two equal figures differ.
_METADATA: Final[Any] = {
    ".svg": {"Date": None},
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


class UndrawableError(ValueError):
    """A figure cannot be drawn, or not be written to its path; the message says why."""


def draw(blueprint: Blueprint, path: Path) -> None:
    """Draw every network, side by side or in rows, into ``path``. Raises UndrawableError."""
    if path.suffix not in SUFFIXES:
        raise UndrawableError(f"{path}: a figure is written as .svg, .png or .pdf, got {path.suffix or 'no suffix'!r}")
    if not path.parent.is_dir():
        raise UndrawableError(f"{path}: no such folder: {path.parent}")
    whole = sketch(blueprint)
    count = len(boxes(whole.elements))
    if count > MAX_BOXES:
        raise UndrawableError(f"{count:,} boxes are too many for a figure; limit {MAX_BOXES}")
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(whole.width / 72, whole.height / 72))
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_xlim(0, whole.width)
        axes.set_ylim(whole.height, 0)
        axes.set_axis_off()
        for element in whole.elements:
            _DRAW[type(element)](axes, element)
        try:
            figure.savefig(path, dpi=300, metadata=_METADATA[path.suffix])
        except OSError as error:
            raise UndrawableError(f"{path}: cannot be written ({error.strerror})") from None


def sketch(blueprint: Blueprint) -> Sketch:
    """All networks, each under its name, in rows with tops in line."""
    facts = network_facts(blueprint)
    bodies = {
        role: layout.network(outline, facts[role].inputs, facts[role].changes)
        for role, outline in blueprint.sound_outlines.items()
    }
    headers = {role: list(_header(blueprint, role, facts[role])) for role in bodies}
    deepest = max(line.y for header in headers.values() for line in header) + 11.0
    x = y = height = width = _MARGIN
    elements: list[Element] = []
    for role, body in bodies.items():
        found = _column(headers[role], body, facts[role].changes, role, (x, y, y + deepest))
        if x > _MARGIN and found.width > _WIDEST:
            x, y = _MARGIN, height + _BETWEEN
            found = _column(headers[role], body, facts[role].changes, role, (x, y, y + deepest))
        elements += found.elements
        x = found.width + _BETWEEN
        width, height = max(width, x - _BETWEEN), max(height, found.height)
    return Sketch(width + _MARGIN, height + _MARGIN, 0.0, tuple(elements))


def _column(
    header: Sequence[Text], body: Sketch, changes: Sequence[Change], role: str, place: tuple[float, float, float]
) -> Sketch:
    """A network under its header, from ``place``: left edge, top of the header, top of the blocks."""
    left, above, top = place
    legend, header_half = _legend(changes), max(_line_width(line) for line in header) / 2
    axis = left + max(header_half, body.axis)
    foot = top + body.height + _LEGEND_LINE
    elements = (
        *(line.moved(axis, above) for line in header),
        *(mark.moved(axis, above) for mark in _name_marks(role, changes)),
        *body.moved(axis - body.axis, top),
        *legend.moved(axis - body.axis, foot),
    )
    right = axis + max(header_half, body.right, legend.width - body.axis)
    return Sketch(right, max(top + body.height, foot + legend.height if legend.elements else 0.0), axis, elements)


def _header(blueprint: Blueprint, role: str, facts: NetworkFacts) -> Iterator[Text]:
    """Name, size, optimizer and averages of a network, centred on 0."""
    copies = blueprint.networks[role].copies
    yield Text(0, 5, role, "title", True)
    size = counted(blueprint.sound_outlines[role].count(), "parameter")
    lines = [f"{copies} copies of {size}" if copies > 1 else size]
    lines += [facts.optimizer] if facts.optimizer else []
    lines += [f"averaged as {average}" for average in facts.averages]
    wrapped = [part for line in lines for part in wrap(line, _LEGEND_LETTERS)]
    for index, line in enumerate(wrapped):
        yield Text(0, 17 + 10 * index, line, "subtitle", True)


def _name_marks(role: str, changes: Sequence[Change]) -> list[Mark]:
    """The marks of changes of a whole network, right of its name, which is centred on 0."""
    start = labels.text_width(role, _SIZES["title"]) / 2 + 2 * _MARK_RADIUS
    numbers = [change.number for change in changes if change.is_of_all]
    return [Mark(start + place * 2.2 * _MARK_RADIUS, 5, number) for place, number in enumerate(numbers)]


def _line_width(line: Text) -> float:
    return _LONG_TEXT * labels.text_width(line.text, _SIZES[line.style])


def _legend(changes: Sequence[Change]) -> Sketch:
    """What the marks mean, on boxes and, of changes of a whole network, at its name."""
    elements: list[Element] = []
    y = width = 0.0
    for change in changes:
        elements.append(Mark(_MARK_RADIUS, y, change.number))
        text = change.text + (" (whole network)" if change.is_of_all else "")
        for part in wrap(text, _LEGEND_LETTERS):
            line = Text(2 * _MARK_RADIUS + 4, y, part, "legend")
            elements.append(line)
            width = max(width, line.x + _line_width(line))
            y += _LEGEND_LINE
    return Sketch(width, max(y - _LEGEND_LINE, 0.0) + _MARK_RADIUS, 0.0, tuple(elements))


def _box(axes: Any, box: Box) -> None:
    from matplotlib.patches import FancyBboxPatch

    fill, edge = _FILLS[box.tone]
    shape = FancyBboxPatch(
        (box.x, box.y),
        box.width,
        box.height,
        boxstyle="round,pad=0,rounding_size=2.5",
        facecolor="white" if box.is_frozen else fill,
        edgecolor=edge,
        linewidth=0.7,
        linestyle=(0, (2, 1.5)) if box.is_frozen else "solid",
        zorder=3,
    )
    axes.add_patch(shape)
    middle = box.y + box.height / 2
    for place, number in enumerate(reversed(box.marks)):
        _mark(axes, Mark(box.x + box.width - pieces.INSET - place * 2.2 * _MARK_RADIUS, box.y, number))
    if box.detail:
        _write(axes, box.x + pieces.INSET, middle, box.name, pieces.NAME_SIZE, _INK, "left")
        _write(axes, box.x + box.width - pieces.INSET, middle, box.detail, pieces.DETAIL_SIZE, _PALE, "right")
    else:
        _write(axes, box.x + box.width / 2, middle, box.name, pieces.NAME_SIZE, _INK, "center")


def _mark(axes: Any, mark: Mark) -> None:
    from matplotlib.patches import Circle

    axes.add_patch(Circle((mark.x, mark.y), _MARK_RADIUS, facecolor=_MARK, edgecolor="white", linewidth=0.5, zorder=6))
    axes.text(
        mark.x, mark.y, str(mark.number), fontsize=5.5, color="white", ha="center", va="center_baseline",
        fontweight="bold", parse_math=False, zorder=7,
    )  # fmt: skip


def _frame(axes: Any, frame: Frame) -> None:
    from matplotlib.patches import FancyBboxPatch

    axes.add_patch(
        FancyBboxPatch(
            (frame.x, frame.y),
            frame.width,
            frame.height,
            boxstyle="round,pad=0,rounding_size=5",
            facecolor="none",
            edgecolor=_PALE,
            linewidth=0.6,
            linestyle=(0, (4, 2.5)) if frame.is_dashed else "solid",
            zorder=1,
        )
    )


def _wire(axes: Any, wire: Wire) -> None:
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path as Curve

    points = list(wire.points)
    if wire.has_head:
        (x0, y0), (x1, y1) = points[-2:]
        length = max(abs(x1 - x0), abs(y1 - y0))
        dx, dy = (x1 - x0) / length, (y1 - y0) / length
        points[-1] = (x1 - 3 * dx, y1 - 3 * dy)
        corners = [(x1, y1), *((x1 - 4.5 * dx - side * dy, y1 - 4.5 * dy + side * dx) for side in (1.8, -1.8))]
        axes.add_patch(Polygon(corners, closed=True, facecolor=_INK, edgecolor="none", zorder=4))
    curve = PathPatch(Curve(points), fill=False, edgecolor=_INK, linewidth=0.8, joinstyle="round", capstyle="butt")
    curve.set_zorder(2)
    axes.add_patch(curve)


def _join(axes: Any, join: Join) -> None:
    from matplotlib.patches import Circle, FancyBboxPatch

    if join.sign not in ("+", "×"):
        corner = (join.x - join.width / 2, join.y - join.height / 2)
        round_ends = f"round,pad=0,rounding_size={join.height / 2}"
        pill = FancyBboxPatch(corner, join.width, join.height, boxstyle=round_ends, fc="white", ec=_INK, lw=0.8)
        pill.set_zorder(3)
        axes.add_patch(pill)
        _write(axes, join.x, join.y, join.sign, pieces.DETAIL_SIZE, _INK, "center")
        return
    radius = join.height / 2
    axes.add_patch(Circle((join.x, join.y), radius, facecolor="white", edgecolor=_INK, linewidth=0.8, zorder=3))
    arm = radius * 0.6
    ends = [(arm, 0.0), (0.0, arm)] if join.sign == "+" else [(arm * 0.7, arm * 0.7), (arm * 0.7, -arm * 0.7)]
    for dx, dy in ends:
        axes.plot([join.x - dx, join.x + dx], [join.y - dy, join.y + dy], color=_INK, linewidth=0.8, zorder=4)


def _text(axes: Any, text: Text) -> None:
    colour = _INK if text.style in ("title", "times") else _PALE
    weight = "bold" if text.style == "title" else "normal"
    anchor = "center" if text.is_centred else "left"
    _write(axes, text.x, text.y, text.text, _SIZES[text.style], colour, anchor, weight)


def _write(
    axes: Any, x: float, y: float, text: str, size: float, colour: str, anchor: str, weight: str = "normal"
) -> None:
    axes.text(
        x, y, text, fontsize=size, color=colour, ha=anchor, va="center_baseline", fontweight=weight, parse_math=False,
        zorder=5,
    )  # fmt: skip


_DRAW: Final[Any] = {Box: _box, Mark: _mark, Frame: _frame, Wire: _wire, Join: _join, Text: _text}
