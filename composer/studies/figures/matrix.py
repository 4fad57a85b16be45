"""Matrices of numbers with colours: heat maps and correlations. A cell without a value is hatched.

Tests: tests/studies/figures/.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from composer.studies.figures.sheet import ACROSS, PAGE, SMALL, Sheet, finish, panels, text_width, wrap
from composer.studies.statistics import Floats

WIDE: Final = (0.68, 0.56)
NARROW: Final = (0.36, 0.28)
"""Inches of a cell with an interval, and of one with a number alone: at most, and at least where the page is full."""
HEIGHT: Final = (0.4, 0.26)
WIDEST: Final = 14.0
"""Inches of a figure; beyond that cells become smaller still."""
LEAST_FONT: Final = 4.5
"""Points; intervals, then numbers, that would be smaller are left out, and the caption says so."""
_LINE: Final = 0.17


@dataclass(frozen=True)
class Matrix:
    """One panel: colours and texts of its cells."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Floats
    """``[rows, columns]``; NaN where there is nothing."""
    texts: Sequence[Sequence[str]]
    label: str
    """What the colour shows."""
    limits: tuple[float, float]
    colours: str = "viridis"
    row_axis: str = ""
    column_axis: str = ""


def draw_matrix(matrices: Sequence[Matrix], name: str, caption: str) -> Sheet:
    """A panel per matrix; all have cells of one size, and each its own bar of colours."""
    rows, columns = max(len(each.rows) for each in matrices), max(len(each.columns) for each in matrices)
    has_intervals = any("\n" in text for each in matrices for row in each.texts for text in row)
    left = max(text_width(line) for each in matrices for row in each.rows for line in wrap(row, 30).splitlines()) + 1.3
    most, least = WIDE if has_intervals else NARROW
    cell = min(most, max(least, (PAGE - left) / columns), (WIDEST - left) / columns)
    across = max(1, min(len(matrices), ACROSS, int(PAGE / (left + cell * columns))))
    tallest = max(wrap(row, 30).count("\n") + 1 for each in matrices for row in each.rows)
    cells = max(HEIGHT[0 if has_intervals else 1], 0.13 * tallest) * rows
    matrices, font, notes = _legible(matrices, cell)
    height, width = cells + _below(matrices, cell), max(across * (left + cell * columns), 3.4)
    with panels(len(matrices), height=height, width=width, across=across) as (made, axes):
        for panel, each in zip(axes, matrices, strict=True):
            _draw(panel, each, font, cells, is_steep=_is_steep(each, cell))
        return finish(made, name, " ".join([caption, *notes]))


def _is_steep(each: Matrix, cell: float) -> bool:
    """Whether the names of columns are too long to be written horizontally."""
    return max(text_width(name) for name in each.columns) > cell - 0.05


def _below(matrices: Sequence[Matrix], cell: float) -> float:
    """Inches above and below the cells: title, names of columns, name of the axis."""
    steep = [wrap(name) for each in matrices if _is_steep(each, cell) for name in each.columns]
    names = max((text_width(line) for name in steep for line in name.splitlines()), default=_LINE)
    titles = max(wrap(each.title, 40).count("\n") + 1 for each in matrices)
    return names + _LINE * (titles + 1) + 0.25


def _legible(matrices: Sequence[Matrix], cell: float) -> tuple[Sequence[Matrix], float, list[str]]:
    """The matrices with texts that fit into a cell, the size of these, and what was left out."""
    if (font := _font(matrices, cell)) >= LEAST_FONT:
        return matrices, font, []
    short = [replace(each, texts=[[text.split("\n")[0] for text in row] for row in each.texts]) for each in matrices]
    if (font := _font(short, cell)) >= LEAST_FONT:
        return short, font, ["The table has the intervals."]
    return short, 0.0, ["The table has the numbers."]


def _font(matrices: Sequence[Matrix], cell: float) -> float:
    """The size of the longest text that fits into a cell."""
    lines = {line for each in matrices for row in each.texts for text in row for line in text.split("\n")}
    longest = max(text_width(line, 1.0) for line in lines)
    return min(SMALL, (cell - 0.08) / longest) if longest else SMALL


def _draw(axes: Any, each: Matrix, font: float, height: float, is_steep: bool) -> None:
    from matplotlib import colormaps

    colours, (low, high) = colormaps[each.colours], each.limits
    shown = np.ma.masked_invalid(each.values)
    image = axes.imshow(shown, cmap=colours, vmin=low, vmax=high, aspect="auto")
    axes.figure.colorbar(image, ax=axes, label=each.label, fraction=0.05, pad=0.03)
    for (row, column), value in np.ndenumerate(each.values):
        if np.isnan(value):
            axes.add_patch(_hatched(column, row))
        elif font:
            red, green, blue, _ = colours((value - low) / (high - low) if high > low else 0.5)
            ink = "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else "black"
            text = each.texts[row][column]
            axes.text(column, row, text, ha="center", va="center", fontsize=font, color=ink, linespacing=1.1)
    turned = {"rotation": 90} if is_steep else {}
    axes.set_xticks(range(len(each.columns)), [wrap(name) for name in each.columns], fontsize=SMALL, **turned)
    axes.set_yticks(range(len(each.rows)), [wrap(name, 30) for name in each.rows], fontsize=SMALL)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(wrap(each.title, 40), loc="left")
    axes.set_xlabel(each.column_axis)
    axes.set_ylabel(wrap(each.row_axis, max(8, int(height / 0.085))))


def _hatched(column: float, row: float) -> Any:
    from matplotlib.patches import Rectangle

    corner = column - 0.5, row - 0.5
    return Rectangle(corner, 1, 1, facecolor="#f2f2f2", edgecolor="#bbbbbb", hatch="////", linewidth=0.0)
