"""The scores of an ablation's arms, seed by seed. Tests: tests/studies/ablation/test_ablate.py."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from composer.studies import Refused
from composer.studies.ablation.arms import FULL, Arms
from composer.studies.compare.read_runs import Reading, read_run
from composer.studies.execution.engine import Outcome
from composer.studies.statistics import Curve

Floats = NDArray[np.float64]
Score = Literal["final", "area"]
SCORES: Final[tuple[Score, ...]] = ("final", "area")
"""The last evaluation; and the area under the curve divided by its length, the mean over the run."""
SHARE_OF_SCALE: Final = 0.05
"""The margin, where none is given: a share of the range of scores, or of the agent's own score where that is open."""


@dataclass
class TaskScores:
    """The scores of all arms on one task."""

    task: str
    scale: float
    """The range of the metric, or the size of the whole agent's mean score where the range is open."""
    by_arm: dict[str, dict[Score, Floats]] = field(default_factory=dict)
    """By arm, one number per seed; arms that failed are absent."""
    diverged: set[str] = field(default_factory=set)
    """Arms that diverged: each of their seeds counts as the lowest score."""
    fired: dict[str, dict[str, int]] = field(default_factory=dict)
    """By arm: how often each intervention fired, all seeds together."""

    def difference(self, more: str, less: str, score: Score) -> Floats | None:
        """What an arm scores more than another, ``[n]``; None where one failed."""
        if more not in self.by_arm or less not in self.by_arm:
            return None
        return self.by_arm[more][score] - self.by_arm[less][score]


def read_scores(arms: Arms, outcomes: Sequence[Outcome], notes: list[str]) -> list[TaskScores]:
    """The scores by task; ``notes`` gets what failed or diverged. Raises Refused where the agent itself failed."""
    ends = iter(outcomes)
    by_arm = {arm: [next(ends) for _ in runs] for arm, runs in arms.runs.items()}
    return [_of_task(index, by_arm, arms.seeds, notes) for index in range(len(by_arm[FULL]))]


def _of_task(index: int, by_arm: Mapping[str, Sequence[Outcome]], seeds: Sequence[int], notes: list[str]) -> TaskScores:
    environment, task = by_arm[FULL][index].run.blueprint.environment, by_arm[FULL][index].run.task
    curves: dict[str, Curve] = {}
    found = TaskScores(task, math.nan)
    for arm, outcomes in by_arm.items():
        outcome = outcomes[index]
        if outcome.status == "finished" and outcome.directory is not None:
            reading = read_run(outcome.directory, environment.metric)
            curves[arm] = _curve(reading, seeds, environment.metric_range)
            found.fired[arm] = {name: sum(at.values()) for name, at in reading.firings.items()}
        elif outcome.status == "diverged":
            found.diverged.add(arm)
            notes.append(f"{arm} on {task} diverged: each of its seeds counts as the lowest score")
        else:
            notes.append(f"{arm} on {task} failed and is left out: {outcome.message.splitlines()[0]}")
    if FULL not in curves:
        raise Refused(f"the agent itself did not finish on {task}: {by_arm[FULL][index].message or 'it diverged'}")
    if any(not np.isfinite(curve.values).all() for curve in curves.values()):
        raise Refused(f"a score on {task} is not finite")
    found.scale = _scale(curves[FULL], environment.metric_range)
    lowest = _lowest(curves.values(), environment.metric_range)
    found.by_arm = {arm: {"final": curve.values[:, -1], "area": curve.area()} for arm, curve in curves.items()}
    for arm in found.diverged:
        worst = np.full(len(seeds), lowest)
        found.by_arm[arm] = {"final": worst, "area": worst}
    return found


def _curve(reading: Reading, seeds: Sequence[int], bounds: tuple[float, float]) -> Curve:
    steps = sorted(set.intersection(*(set(reading.points[seed]) for seed in seeds)))
    values = [[reading.points[seed][step] for step in steps] for seed in seeds]
    return Curve(np.array(steps, np.int64), np.array(values, np.float64), bounds)


def _scale(curve: Curve, bounds: tuple[float, float]) -> float:
    width = bounds[1] - bounds[0]
    return width if math.isfinite(width) else max(float(abs(curve.values[:, -1].mean())), 1e-12)


def _lowest(curves: Iterable[Curve], bounds: tuple[float, float]) -> float:
    return bounds[0] if math.isfinite(bounds[0]) else min(float(curve.values.min()) for curve in curves)
