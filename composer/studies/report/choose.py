"""Which figures fit the axes of a study. Tests: tests/studies/test_study_report.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, Final

from composer.spec.errors import ComposerError
from composer.studies.compare.compare import Comparison
from composer.studies.figures.axes import is_number, place
from composer.studies.figures.cost import COSTS
from composer.studies.figures.draw import KINDS, Wanted, fitting
from composer.studies.figures.sheet import Sheet

MOST_AGENTS: Final = 24
"""With more points, curves and profiles of all of them cannot be told apart: they are left out, and this is said."""


def figures(comparison: Comparison, notes: list[str]) -> list[Sheet]:
    """The figures of a study, in the order of the report; ``notes`` gets why one is left out."""
    return list(_drawn(comparison, notes))


def _drawn(comparison: Comparison, notes: list[str]) -> Iterator[Sheet]:
    for name, wanted in _wanted(comparison, notes):
        try:
            yield replace(KINDS[wanted.kinds[0]](comparison, wanted), name=name)
        except ComposerError as error:
            notes.append(f"no figure {name}: {error}")


def _wanted(comparison: Comparison, notes: list[str]) -> Iterator[tuple[str, Wanted]]:
    """Figures by the names of their files: over the axes first, then of the points."""
    numeric, agents = _numeric_axes(comparison), len({group.agent for group in comparison.groups})
    for rows, columns in combinations(numeric, 2):
        yield f"heat-{rows}-{columns}", Wanted(("heat",), rows=rows, columns=columns)
    for x in (*numeric, *_varying_costs(comparison)):
        yield f"against-{x}", Wanted(("scatter",), x=x)
    if agents <= MOST_AGENTS:
        yield from ((kind, Wanted((kind,))) for kind in fitting(comparison))
    else:
        notes.append(f"curves and profiles of {agents} points are left out: they cannot be told apart")


def _numeric_axes(comparison: Comparison) -> list[str]:
    """The axes whose values are numbers, at least two of which were trained."""
    points = [group.runs[0].point for group in comparison.groups]
    axes = dict.fromkeys(axis for point in points for axis in point)
    values = {axis: [point.get(axis) for point in points] for axis in axes}
    return [axis for axis, each in values.items() if all(map(is_number, each)) and len(set(each)) > 1]


def _varying_costs(comparison: Comparison) -> list[str]:
    """Costs in which points differ on a task: parameters, and arithmetic where updates cost more or are more."""
    steps = {task["task"]: task["env_step"] for task in comparison.table["tasks"]}
    found = []
    for cost in ("parameters", "operations"):
        by_task: dict[str, set[float]] = {}
        for each in place(comparison.groups):
            task = each.group.task
            by_task.setdefault(task, set()).add(_cost(cost, each.group.runs[0], steps[task]))
        if any(len(values) > 1 for values in by_task.values()):
            found.append(cost)
    return found


def _cost(name: str, run: Any, step: int) -> float:
    try:
        return COSTS[name][0](run, step)
    except ComposerError:
        return 0.0


def cost_columns(comparison: Comparison) -> dict[tuple[str, str], Mapping[str, float]]:
    """Parameters, updates and operations of each agent on each task, for tables."""
    steps = {task["task"]: task["env_step"] for task in comparison.table["tasks"]}
    names: Sequence[str] = ("parameters", "updates", "operations")
    return {
        (str(group.agent), group.task): {name: _cost(name, group.runs[0], steps[group.task]) for name in names}
        for group in comparison.groups
    }
