"""What each axis of a study does on average: its values compared over all combinations of the other axes.

In a study of several axes a single pair of points has few seeds; a value of one axis has those of all points with it.
Combinations and tasks are strata, so that their differences among each other count for nothing. Points share their
seeds, and what a seed gives at one point may tell what it gives at another: intervals and p-values are the more
cautious of two, that of independent points and that of averages within a seed. Tests: tests/studies/test_effects.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from typing_extensions import override

from composer.spec.interval import LEAST, Bounds, p_value, standard_error
from composer.spec.quantities import counted
from composer.studies.compare.compare import Comparison, number_format
from composer.studies.compare.conclusion import conclusions, pair_table
from composer.studies.compare.read_runs import Agent
from composer.studies.compare.report import Section
from composer.studies.compare.verdicts import Pair, judge, seeds_for
from composer.studies.statistics import Estimate, Floats, Scores, difference, span
from composer.studies.study.points import name_of

NOTE = (
    "effects of axes: points share their seeds, so that each interval is the wider of two, of points taken as"
    " independent and of averages within a seed, and each p-value the larger"
)


class Cell(NamedTuple):
    """The scores of a point on a task, and their seeds."""

    scores: Scores
    seeds: tuple[int, ...]


class Level(NamedTuple):
    """One value of an axis: a stratum for each combination of the others."""

    scores: Scores
    by_seed: Floats | None
    """The mean over the combinations by seed; None where these have different seeds."""

    def mean(self) -> Estimate:
        """Mean over combinations, with the wider interval."""
        alone = self.scores.mean()
        return (
            alone if self.by_seed is None else _wider(alone, Scores.of(self.by_seed, bounds=self.scores.bounds).mean())
        )


@dataclass(frozen=True)
class AxisPair(Pair):
    """Two values of an axis."""

    by_seed: Floats | None
    """The difference averaged over the combinations, by seed."""

    @property
    @override
    def gap(self) -> Estimate:
        alone = difference(self.ours, self.theirs)
        return alone if self.by_seed is None else _wider(alone, Scores.of(self.by_seed, bounds=self._bounds).mean())

    @property
    def _bounds(self) -> Bounds:
        return self.ours.bounds[0] - self.theirs.bounds[1], self.ours.bounds[1] - self.theirs.bounds[0]

    @property
    @override
    def p(self) -> float:
        alone = Pair(self.left, self.right, self.ours, self.theirs, self.where).p
        if self.by_seed is None or len(self.by_seed) < LEAST:
            return alone
        error, freedom = standard_error([self.by_seed])
        return max(alone, p_value(float(self.by_seed.mean()), float(error), float(freedom)))

    @override
    def needed(self, tests: int) -> int | None:
        alone = Pair(self.left, self.right, self.ours, self.theirs, self.where).needed(tests)
        if self.by_seed is None or alone is None:
            return alone
        own = seeds_for(abs(float(self.by_seed.mean())), float(self.by_seed.std(ddof=1)), tests)
        return None if own is None else max(alone, own)


def effects(axes: Mapping[str, tuple[Any, ...]], comparison: Comparison) -> list[Section]:
    """A section for each of several axes; all their pairs are one family. None for an axis that varies with another."""
    varied = {axis: values for axis, values in axes.items() if len(values) > 1}
    cells = _cells(comparison)
    found = {axis: levels for axis, values in varied.items() if (levels := _levels(axis, values, cells))}
    if len(varied) < 2 or not found:
        return []
    form = number_format([level.scores.mean().value for levels in found.values() for level in levels.values()])
    pairs = {axis: _pairs(axis, levels) for axis, levels in found.items()}
    judged = iter(judge([pair for of in pairs.values() for pair in of], form))
    sections = []
    for axis, levels in found.items():
        rows = [["", "seeds", "mean"]]
        rows += [[name, _seeds(level), span(level.mean().as_dict(), form)] for name, level in levels.items()]
        mine = [next(judged) for _ in pairs[axis]]
        heading = f"Effect of {pairs[axis][0].where}"
        sections.append(Section(heading, rows, conclusions(mine, form), pair_table(mine, form)))
    return sections


def _pairs(axis: str, levels: Mapping[str, Level]) -> list[AxisPair]:
    number = len(next(iter(levels.values())).scores.tasks)
    where = f"{axis}, averaged over {counted(number, 'combination')} of the other axes and tasks"
    return [
        AxisPair(
            Agent(x, None), Agent(y, None), ours.scores, theirs.scores, where, _minus(ours.by_seed, theirs.by_seed)
        )
        for (x, ours), (y, theirs) in combinations(levels.items(), 2)
    ]


def _minus(ours: Floats | None, theirs: Floats | None) -> Floats | None:
    return None if ours is None or theirs is None else ours - theirs


def _seeds(level: Level) -> str:
    counts = sorted(set(level.scores.seeds))
    return f"{len(level.scores.seeds)} × {counts[0]}" if len(counts) == 1 else str(sum(level.scores.seeds))


def _cells(comparison: Comparison) -> dict[tuple[frozenset[tuple[str, Any]], str], Cell]:
    """The scores of each point on each task, at the step that is compared; normalised where there are several tasks."""
    tasks = comparison.table["tasks"]
    last = {(row["agent"], task["task"]): row["final"]["by_seed"] for task in tasks for row in task["agents"]}
    found = {}
    for group in comparison.common if len(tasks) > 1 else comparison.groups:
        values = group.curve.values[:, -1] if len(tasks) > 1 else last[str(group.agent), group.task]
        point = frozenset(group.runs[0].point.items())
        found[point, group.task] = Cell(Scores.of(values, bounds=group.curve.bounds), group.seeds)
    return found


def _levels(
    axis: str, values: tuple[Any, ...], cells: Mapping[tuple[frozenset[tuple[str, Any]], str], Cell]
) -> dict[str, Level]:
    """The values of an axis, on the combinations that have every one of them; empty where none has."""
    others = dict.fromkeys((frozenset(p for p in point if p[0] != axis), task) for point, task in cells)
    whole = [(rest, task) for rest, task in others if all((rest | {(axis, v)}, task) in cells for v in values)]
    if not whole:
        return {}
    by_value = {name_of({axis: v}): [cells[rest | {(axis, v)}, task] for rest, task in whole] for v in values}
    are_common = len({cell.seeds for mine in by_value.values() for cell in mine}) == 1
    return {name: _level(mine, are_common) for name, mine in by_value.items()}


def _level(cells: Sequence[Cell], are_common: bool) -> Level:
    low, high = zip(*(cell.scores.bounds for cell in cells), strict=True)
    scores = [cell.scores.tasks[0] for cell in cells]
    return Level(Scores.of(*scores, bounds=(min(low), max(high))), np.mean(scores, axis=0) if are_common else None)


def _wider(first: Estimate, second: Estimate) -> Estimate:
    """The first value with both intervals; NaN where either has none."""
    if math.isnan(first.low) or math.isnan(second.low):
        return Estimate(first.value, math.nan, math.nan)
    return Estimate(first.value, min(first.low, second.low), max(first.high, second.high))
