"""Intervals of shares, where Student's t fails: few seeds make few values, and near 0 or 1 no spread at all.

Both are score intervals: they hold the shares from which what was seen is not further than a normal quantile. Of seeds
above a score: Wilson (1927). Of the probability of improvement: method 5 of Newcombe, Statistics in Medicine 25 (2006),
p. 559. docs/benchmarks/statistics.md has their coverage beside that of t. Tests: tests/studies/test_profiles.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from composer.spec.interval import LEAST, LEVEL

Floats = NDArray[np.float64]

_HALVINGS = 40
"""Of the bisection: bounds are exact to 1e-12."""


def share_interval(share: Floats, sizes: Sequence[int]) -> tuple[Floats, Floats]:
    """Wilson's interval of a mean over tasks of shares of ``sizes`` seeds; NaN where a task has too few seeds.

    Tasks count as equally difficult: where their shares differ, the interval is too wide.
    """
    from scipy.special import ndtri

    if min(sizes) < LEAST:
        return np.full_like(share, np.nan), np.full_like(share, np.nan)
    count = len(sizes) ** 2 / sum(1 / size for size in sizes)
    square = float(ndtri(0.5 + LEVEL / 2)) ** 2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = np.sqrt(square * (share * (1 - share) / count + square / (4 * count**2))) / (1 + square / count)
    # Rounding must not leave the share itself outside, at 0 and at 1.
    return np.minimum(middle - half, share).clip(0, 1), np.maximum(middle + half, share).clip(0, 1)


def improvement_interval(chances: Sequence[float], sizes: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """The interval of a mean over tasks of probabilities of improvement; NaN where an agent has too few seeds.

    ``sizes`` are the seeds of both agents on each task. Distances of a task's bounds from its estimate are added as
    standard errors are: Zou and Donner, Statistics in Medicine 27 (2008), p. 1693. With several tasks the quantile is
    Student's, because errors of the single intervals add up.
    """
    from scipy.special import ndtri, stdtrit

    if min(min(pair) for pair in sizes) < LEAST:
        return np.nan, np.nan
    level = 0.5 + LEVEL / 2
    below, above = [], []
    for chance, (n, m) in zip(chances, sizes, strict=True):
        quantile = float(ndtri(level) if len(sizes) == 1 else stdtrit(n + m - 2, level))
        below.append(_distance(chance, n, m, quantile))
        above.append(_distance(1 - chance, n, m, quantile))
    mean, count = float(np.mean(chances)), len(chances)
    low, high = mean - np.hypot.reduce(below) / count, mean + np.hypot.reduce(above) / count
    return max(0.0, float(low)), min(1.0, float(high))


def _distance(chance: float, n: int, m: int, quantile: float) -> float:
    """How far the lower bound lies below ``chance``."""
    inside, outside = chance, 0.0
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        if chance - middle <= quantile * np.sqrt(_variance(middle, n, m)):
            inside = middle
        else:
            outside = middle
    return chance - inside


def _variance(chance: float, n: int, m: int) -> float:
    """Variance of an estimated probability of improvement under exponential scores, with half of all seeds each."""
    more = (n + m) / 2 - 1
    spread = 1 + more * ((1 - chance) / (2 - chance) + chance / (1 + chance))
    return chance * (1 - chance) * spread / (n * m)
