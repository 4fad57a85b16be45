"""What is drawn over all tasks: performance profiles, and the interquartile mean against environment steps.

Source: Agarwal et al., arXiv:2108.13264: run-score and average-score distributions, sample efficiency curves. Their
point estimates are rliable's. Legend: P thresholds, T steps, n seeds. Tests: tests/studies/test_profiles.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from composer.studies.shares import share_interval
from composer.studies.statistics import Curve, Floats, Scores, mean_draws, quantiles


class Line(NamedTuple):
    """A statistic along an axis and its pointwise interval; bounds are NaN where a task has too few seeds."""

    at: NDArray[np.float64]
    """Thresholds or environment steps, ``[P]``."""
    value: Floats
    low: Floats
    high: Floats


def performance_profile(scores: Scores, thresholds: ArrayLike) -> Line:
    """Share of seeds that score more than each threshold, averaged over tasks; with Wilson's interval."""
    at = np.asarray(thresholds, np.float64)
    share = np.mean([(task > at[:, None]).mean(1) for task in scores.tasks], axis=0)
    return Line(at, share, *share_interval(share, scores.seeds))


def average_profile(scores: Scores, thresholds: ArrayLike) -> Line:
    """Share of tasks whose mean over seeds exceeds each threshold; the interval is that of ``Scores.median``."""
    at = np.asarray(thresholds, np.float64)
    means = np.array([task.mean() for task in scores.tasks])
    share = (means > at[:, None]).mean(1)
    draws = mean_draws(scores.tasks)
    # Draws that are not a number exceed nothing: they must not look like an interval.
    shares = np.where(np.isnan(draws).any(), np.nan, (draws[:, None] > at[:, None]).mean(-1))
    low, high = quantiles(shares)
    return Line(at, share, np.minimum(low, share), np.maximum(high, share))


def sample_efficiency(curves: Sequence[Curve]) -> Line:
    """Interquartile mean over the seeds of all tasks at each step that all curves have; one curve per task."""
    steps = sorted(set.intersection(*(set(curve.steps.tolist()) for curve in curves)))
    cut = [curve.only(np.isin(curve.steps, steps)) for curve in curves]
    bounds = min(curve.bounds[0] for curve in curves), max(curve.bounds[1] for curve in curves)
    found = [Scores(tuple(curve.values[:, number] for curve in cut), bounds).iqm() for number in range(len(steps))]
    value, low, high = np.array(found, np.float64).reshape(-1, 3).T
    return Line(np.array(steps, np.float64), value, low, high)


def grid(agents: Sequence[Scores], points: int = 101) -> Floats:
    """Thresholds between the lowest and the highest score of all agents, from 0 where none is negative."""
    every = np.concatenate([task for scores in agents for task in scores.tasks])
    return np.linspace(min(0.0, every.min()), every.max(), points)
