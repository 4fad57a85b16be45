"""What each axis of a study does on average: its values compared over all combinations of the other axes.

In a study of several axes a single pair of points has few seeds; a value of one axis has those of all points with it.
Combinations and tasks are strata, so that their differences among each other count for nothing. Tests:
tests/studies/test_effects.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from composer.spec.quantities import counted
from composer.studies.compare.compare import Comparison, number_format
from composer.studies.compare.conclusion import conclusions, pair_table
from composer.studies.compare.read_runs import Agent
from composer.studies.compare.report import Section
from composer.studies.compare.verdicts import judge, pairs_of
from composer.studies.statistics import Scores, span
from composer.studies.study.points import name_of

Cell = tuple[frozenset[tuple[str, Any]], str]
"""Values of axes, and a task."""


def effects(axes: Mapping[str, tuple[Any, ...]], comparison: Comparison) -> list[Section]:
    """A section for each of several axes; all their pairs are one family. None for an axis that varies with another."""
    varied = {axis: values for axis, values in axes.items() if len(values) > 1}
    cells = _cells(comparison)
    found = {axis: scores for axis, values in varied.items() if (scores := _by_value(axis, values, cells))}
    if len(varied) < 2 or not found:
        return []
    means = [scores.mean().value for of in found.values() for scores in of.values()]
    form, pairs = number_format(means), {}
    for axis, of in found.items():
        number = len(next(iter(of.values())).tasks)
        where = f"{axis}, averaged over {counted(number, 'combination')} of the other axes and tasks"
        pairs[axis] = pairs_of({Agent(value, None): scores for value, scores in of.items()}, where)
    judged = iter(judge([pair for of in pairs.values() for pair in of], form))
    sections = []
    for axis, of in found.items():
        rows = [["", "seeds", "mean"]]
        rows += [[value, str(sum(scores.seeds)), span(scores.summary(), form)] for value, scores in of.items()]
        mine = [next(judged) for _ in pairs[axis]]
        sections.append(
            Section(f"Effect of {pairs[axis][0].where}", rows, conclusions(mine, form), pair_table(mine, form))
        )
    return sections


def _cells(comparison: Comparison) -> dict[Cell, Scores]:
    """The scores of each point on each task, at the step that is compared; normalised where there are several tasks."""
    tasks = comparison.table["tasks"]
    last = {(row["agent"], task["task"]): row["final"]["by_seed"] for task in tasks for row in task["agents"]}
    found = {}
    for group in comparison.common if len(tasks) > 1 else comparison.groups:
        values = group.curve.values[:, -1] if len(tasks) > 1 else last[str(group.agent), group.task]
        point = frozenset(group.runs[0].point.items())
        found[point, group.task] = Scores.of(values, bounds=group.curve.bounds)
    return found


def _by_value(axis: str, values: tuple[Any, ...], cells: Mapping[Cell, Scores]) -> dict[str, Scores]:
    """Scores by value of an axis, on the combinations that have every value of it; empty where none has."""
    others = dict.fromkeys((frozenset(p for p in point if p[0] != axis), task) for point, task in cells)
    whole = [(rest, task) for rest, task in others if all((rest | {(axis, v)}, task) in cells for v in values)]
    if not whole:
        return {}
    found = {}
    for value in values:
        mine = [cells[rest | {(axis, value)}, task] for rest, task in whole]
        low, high = zip(*(scores.bounds for scores in mine), strict=True)
        found[name_of({axis: value})] = Scores.of(*(scores.tasks[0] for scores in mine), bounds=(min(low), max(high)))
    return found
