"""``composer compare`` with its figures: what the command writes, and the table that it prints.

Tests: tests/studies/test_compare.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from composer.studies import Refused
from composer.studies.compare import tidy
from composer.studies.compare.compare import Comparison, compare
from composer.studies.compare.report import sections
from composer.studies.figures.draw import Wanted, agent_looks, draw, write
from composer.studies.figures.page import page
from composer.studies.plots import SUFFIXES, check

HTML: Final = ".html"


def answer(
    paths: Sequence[Path],
    metric: str | None,
    at: int | None,
    thresholds: Sequence[float],
    plot: Path | None = None,
    wanted: Wanted | None = None,
    constants: str = "auto",
    labels: Sequence[str] = (),
    published: str | None = None,
    numbers: Path | None = None,
) -> dict[str, Any]:
    """Compare runs, draw the figures that are wanted into ``plot``, write ``numbers`` as CSV, and return the table.

    All figures are of one reading of the runs. Raises RunUnusable and Refused, before any run is read where it can.
    """
    wanted = (wanted or Wanted()).checked()
    if plot is not None:
        check(plot, (*SUFFIXES, HTML))
    elif wanted != Wanted():
        raise Refused("figures are drawn into a file: give --plot FILE as .png, .svg, .pdf or .html")
    comparison = compare(paths, metric, at, thresholds, constants, labels, published)
    table = dict(comparison.table)
    if numbers is not None:
        tidy.write(comparison, numbers)
    if plot is not None:
        table["figures"] = [str(file) for file in drawn(comparison, wanted, plot)]
    return table


def drawn(comparison: Comparison, wanted: Wanted, plot: Path) -> list[Path]:
    """Draw the figures into ``plot``; returns the files. Raises Refused."""
    sheets = draw(comparison, wanted, plot.suffix)
    if plot.suffix != HTML:
        return write(sheets, plot)
    table = comparison.table
    title = f"{table['metric']}, with the {table['interval']['method']}"
    plot.write_text(
        page(title, sections(table), sheets, table["notes"], looks=agent_looks(comparison)), encoding="utf-8"
    )
    return [plot]
