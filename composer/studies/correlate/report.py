"""What ``composer correlate`` writes: a table for the terminal, a CSV file, and a matrix picture.

Tests: tests/studies/test_correlate.py.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from composer.spec.quantities import columns, counted
from composer.studies.correlate.correlate import correlate
from composer.studies.figures.matrix import Matrix, draw_matrix
from composer.studies.figures.sheet import Sheet
from composer.studies.plots import check
from composer.studies.statistics import span

STRONGEST: Final = 20
"""Pairs that are printed; ``--json`` and ``--csv`` have all of them."""


def answer(
    paths: Sequence[Path], over: str, differences: bool, globs: Sequence[str], plot: Path | None, table: Path | None
) -> dict[str, Any]:
    """Correlate the metrics of runs; also write a picture and a CSV file where they are given."""
    if plot is not None:
        check(plot)
    found = correlate(paths, over, differences, globs)
    if plot is not None:
        picture(found).write(plot)
    if table is not None:
        write_csv(found, table)
    return found


def text(table: Mapping[str, Any]) -> str:
    """The strongest pairs, and notes."""
    rows = [["", "", "correlation", "", table["points"]]]
    for pair in table["pairs"][:STRONGEST]:
        low, high = pair["points"]
        points = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        over = f"mean over {pair['samples']} {table['samples']}" if pair["samples"] > 1 else ""
        rows.append([pair["left"], pair["right"], span(pair["correlation"], "+.2f"), over, points])
    lines = [f"{_what(table)}, with the {table['interval']['method']}", "", *columns(rows, right=[4])]
    if len(table["pairs"]) > STRONGEST:
        lines.append(f"and {counted(len(table['pairs']) - STRONGEST, 'pair')} with smaller correlations")
    return "\n".join([*lines, "", *(f"note: {note}" for note in table["notes"])]).rstrip()


def write_csv(table: Mapping[str, Any], path: Path) -> None:
    """One row per pair."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["left", "right", "correlation", "low", "high", "samples", "fewest_points", "most_points"])
        writer.writerows(_csv_rows(table))


def _csv_rows(table: Mapping[str, Any]) -> Iterator[list[Any]]:
    for pair in table["pairs"]:
        estimate = pair["correlation"]
        yield [
            pair["left"],
            pair["right"],
            *(estimate[key] for key in ("value", "low", "high")),
            pair["samples"],
            *pair["points"],
        ]


def picture(table: Mapping[str, Any]) -> Sheet:
    """All pairs as a matrix with numbers, metrics that correlate beside each other."""
    names = table["metrics"]
    values, texts = np.full((len(names), len(names)), np.nan), [[""] * len(names) for _ in names]
    for pair in table["pairs"]:
        value = pair["correlation"]["value"]
        row, column = names.index(pair["left"]), names.index(pair["right"])
        for i, j in ((row, column), (column, row)):
            values[i, j], texts[i][j] = value, f"{value:+.2f}"
    label = "Spearman correlation" + (" of changes" if table["differences"] else "")
    matrix = Matrix("", names, names, values, texts, label, (-1.0, 1.0), "RdBu")
    few, many = (edge(pair["points"][which] for pair in table["pairs"]) for which, edge in ((0, min), (1, max)))
    samples = max(pair["samples"] for pair in table["pairs"])
    averaged = f", mean over up to {samples} {table['samples']}" if samples > 1 else ""
    points = f"{few:,}" if few == many else f"{few:,} to {many:,}"
    caption = f"{_what(table)}: {points} {table['points']} a pair{averaged}. Hatched: no common points, or constant."
    is_by_trend = table["over"] == "time" and not table["differences"]
    trend = " Metrics that rise or fall all along a run correlate by that alone." if is_by_trend else ""
    return draw_matrix([matrix], "correlations", caption + trend)


def _what(table: Mapping[str, Any]) -> str:
    changes = "changes of metrics" if table["differences"] else "metrics"
    return f"Spearman's rank correlation of {changes} over {table['over']}"
