"""Heat maps: the score of every combination of two settings, or of two axes of a study. A panel per task.

Tests: tests/studies/figures/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from composer.spec.interval import method
from composer.spec.quantities import counted
from composer.studies import Refused
from composer.studies.compare.compare import Comparison, number_format
from composer.studies.figures.axes import Placed, column, in_order, named, place, shown, varying
from composer.studies.figures.curves import seeds_of
from composer.studies.figures.matrix import Matrix, draw_matrix
from composer.studies.figures.sheet import Sheet, in_words

Row = Mapping[str, Any]
"""What the table of a comparison has of an agent on a task."""


@dataclass(frozen=True)
class _Map:
    """What all panels share."""

    keys: tuple[str, str]
    """The settings of rows and of columns."""
    ordered: tuple[list[Any], list[Any]]
    """Their values."""
    table: Mapping[tuple[str, str], Row]
    form: str
    """Format of numbers."""
    label: str

    def row(self, each: Placed) -> Row:
        """The agent's row in the comparison's table."""
        return self.table[str(each.group.agent), each.group.task]

    def limits(self, tasks: set[str], placed: Sequence[Placed]) -> tuple[float, float]:
        """The range of colours: the same in all panels of these tasks."""
        values = [self.row(each)["final"]["mean"]["value"] for each in placed if each.group.task in tasks]
        return min(values), max(values)

    def panel(self, title: str, mine: Sequence[Placed], placed: Sequence[Placed]) -> Matrix:
        """The matrix of the groups of one panel."""
        (rows, columns), (row_key, column_key) = self.ordered, self.keys
        values = np.full((len(rows), len(columns)), np.nan)
        texts = [[""] * len(columns) for _ in rows]
        for each, row, own in zip(mine, column(mine, row_key), column(mine, column_key), strict=True):
            final, i, j = self.row(each)["final"]["mean"], rows.index(row), columns.index(own)
            values[i, j] = final["value"]
            texts[i][j] = f"{final['value']:{self.form}}\n{_below(final, len(each.group.seeds), self.form)}"
        limits = self.limits({each.group.task for each in mine}, placed)
        named = [shown(value) for value in rows], [shown(value) for value in columns]
        return Matrix(title, *named, values, texts, self.label, limits, row_axis=row_key, column_axis=column_key)


def heat(comparison: Comparison, rows: str, columns: str) -> Sheet:
    """Mean over seeds with its interval at every combination of values of ``rows`` and ``columns``. Raises Refused.

    Runs that differ in more than these two are drawn in panels of their own, if they differ in name, variant, task or
    an axis of their study.
    """
    placed, metric = place(comparison.groups), in_words(comparison.table["metric"])
    if rows == columns:
        raise Refused(f"rows and columns of a heat map are different settings, got {rows!r} twice")
    ordered = in_order(column(placed, rows)), in_order(column(placed, columns))
    parts = _panels(placed, rows, columns)
    table = final_rows(comparison)
    form = number_format([row["final"]["mean"]["value"] for row in table.values()])
    drawn = _Map((rows, columns), ordered, table, form, metric)
    matrices = [drawn.panel(title, mine, placed) for title, mine in parts.items()]
    caption = f"{metric} {at_step(comparison)}: mean over {seeds_of(comparison.groups)}, in brackets its {method()}."
    is_full = all(np.isfinite(matrix.values).all() for matrix in matrices)
    return draw_matrix(matrices, "heat", caption + ("" if is_full else " Hatched: no run."))


def at_step(comparison: Comparison) -> str:
    """Where on the curves scores are read, in words."""
    steps = {task["env_step"] for task in comparison.table["tasks"]}
    if len(steps) == 1:
        return f"at environment step {steps.pop():,}"
    return "at the last common environment step of each task"


def final_rows(comparison: Comparison) -> dict[tuple[str, str], Row]:
    """The rows of the comparison's table, by agent and task."""
    return {(row["agent"], task["task"]): row for task in comparison.table["tasks"] for row in task["agents"]}


def _panels(placed: Sequence[Placed], rows: str, columns: str) -> dict[str, list[Placed]]:
    """Groups by panel and title of the panel, a cell each at most."""
    known = {key for each in placed for key in each.axes}
    keys = [key for key in varying(placed, [rows, columns]) if key in known]
    found: dict[str, list[Placed]] = {}
    for each in placed:
        title = ", ".join(_named(key, each) for key in sorted(keys, key=lambda key: key != "task"))
        found.setdefault(title, []).append(each)
    for mine in found.values():
        cells = [(each.value(rows), each.value(columns)) for each in mine]
        for cell in cells:
            if cells.count(cell) > 1:
                several = [each for each, own in zip(mine, cells, strict=True) if own == cell]
                differing = ", ".join(varying(several, [rows, columns])[:3])
                where = named(several[0], [rows, columns])
                raise Refused(f"{where} holds {len(several)} agents, which differ in {differing}: give fewer runs")
    return found


def _named(key: str, group: Placed) -> str:
    """A value that speaks for itself, or ``resets=true``."""
    value = shown(group.value(key))
    return value if key in ("task", "name", "variant", "blueprint") else f"{key}={value}"


def _below(final: Mapping[str, Any], seeds: int, form: str) -> str:
    if final["low"] is None:
        return counted(seeds, "seed")
    return f"[{final['low']:{form}}, {final['high']:{form}}]"
