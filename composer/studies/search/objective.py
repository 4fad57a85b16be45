"""The score of a trial, and how good it is while it trains. Tests: tests/studies/search/test_table.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from composer.spec.interquartile import iqm
from composer.training.runs.results import Series


class SoFar(NamedTuple):
    """What the run of one task shows."""

    series: Series | None
    """The metric; None where there is no value yet."""
    env_steps: int
    """Length of the whole run."""
    is_finished: bool


class Report(NamedTuple):
    """The score of a trial after some of its training."""

    step: int
    """Environment steps of one seed, added over the tasks in their order."""
    score: float


def reports(tasks: Sequence[SoFar]) -> list[Report]:
    """The scores of a trial so far, in order; tasks count one after the other, however they run.

    A score is the interquartile mean over all seeds of the tasks before, at their ends, and of this task as it was at
    the step: what two trials report at the same step is of the same tasks and the same number of seeds.
    """
    found: list[Report] = []
    ended: list[NDArray[np.float64]] = []
    before = 0
    for series, env_steps, is_finished in tasks:
        steps, values = _whole(series)
        for step, of_seeds in zip(steps, values.T, strict=True):
            found.append(Report(before + int(step), float(iqm(np.concatenate([*ended, of_seeds])))))
        if not is_finished or not len(steps):
            break
        ended.append(values[:, -1])
        before += env_steps
    return found


def final_score(tasks: Sequence[SoFar]) -> float | None:
    """The score of a whole trial: None where a task has not finished, or has no value for all of its seeds."""
    if not all(each.is_finished and len(_whole(each.series)[0]) for each in tasks):
        return None
    return reports(tasks)[-1].score


def _whole(series: Series | None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Steps ``[T]`` at which all seeds have a finite value, and the values ``[seeds, T]``."""
    if series is None:
        return np.empty(0, np.int64), np.empty((0, 0))
    known = np.isfinite(series.values).all(0)
    return series.env_steps[known], series.values[:, known]
