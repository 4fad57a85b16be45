"""The one interval that is shown of a mean over seeds, or of another statistic of them: Student's t.

A statistic of independent seeds is to first order a sum of contributions, one of each seed. Its standard error follows
from their spread, within tasks where there are several, and its degrees of freedom from Welch and Satterthwaite. For a
mean this is Student's interval, for a difference of means Welch's, both exact for normal values.
docs/decisions/0021-one-interval.md says why it is not the bootstrap. Tests: tests/studies/test_interval.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bounds = tuple[float, float]
"""The lowest and the highest value that a statistic can have; infinite where it has no bound."""

LEVEL: Final = 0.95
LEAST: Final = 3
"""With fewer seeds there is no interval: the values themselves are shown."""
UNBOUNDED: Final[Bounds] = (-math.inf, math.inf)


def method(over: str = "seeds") -> str:
    """The name of the interval, as it is shown everywhere."""
    return f"{LEVEL:.0%} t interval over {over}"


def interval(
    value: ArrayLike, strata: Sequence[Floats], bounds: Bounds = UNBOUNDED, degrees: Sequence[int] | None = None
) -> tuple[Floats, Floats]:
    """The bounds of the interval of a statistic ``value [...]``, within the values that it can have.

    ``strata`` are contributions of seeds, ``[n, ...]`` for each task: ``value`` varies as the sum of their means.
    Both bounds are NaN where a task has fewer than ``LEAST`` seeds, or a contribution is not finite. ``degrees`` of
    freedom are ``n - 1`` of each task, unless given.
    """
    from scipy.special import stdtrit

    value = np.asarray(value, np.float64)
    if min(map(len, strata)) < LEAST:
        return np.full_like(value, np.nan), np.full_like(value, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        error, freedom = standard_error(strata, degrees)
        half = stdtrit(freedom, 0.5 + LEVEL / 2) * error
        # A value outside of its range is a wrong declaration, not a reason for an interval beside it.
        lowest, highest = np.minimum(value, bounds[0]), np.maximum(value, bounds[1])
        return np.maximum(value - half, lowest), np.minimum(value + half, highest)


def standard_error(strata: Sequence[Floats], degrees: Sequence[int] | None = None) -> tuple[Floats, Floats]:
    """The standard error of a sum of means of ``strata``, and its degrees of freedom by Welch and Satterthwaite."""
    sizes = [len(each) for each in strata]
    away = [each - (each / size).sum(0) for each, size in zip(strata, sizes, strict=True)]
    # Divided before squaring, for the squares of a diverging run overflow.
    scale = np.maximum.reduce([np.abs(each).max(0) for each in away])
    scale = np.where(scale == 0, 1.0, scale)
    parts = [((each / scale) ** 2).sum(0) / (size - 1) / size for each, size in zip(away, sizes, strict=True)]
    total, own = np.sum(parts, axis=0), degrees or [size - 1 for size in sizes]
    spread = np.sum([part**2 / free for part, free in zip(parts, own, strict=True)], axis=0)
    freedom = np.where(spread > 0, total**2 / np.where(spread > 0, spread, 1.0), float(sum(own)))
    return np.sqrt(total) * scale, freedom


def p_value(value: float, error: float, freedom: float) -> float:
    """Two-sided p-value of ``value`` under Student's t; 1 of 0, and 0 of another value without any error."""
    from scipy.special import stdtr

    if error == 0:
        return float(value == 0)
    return float(2 * stdtr(freedom, -abs(value) / error))


def mean_interval(values: ArrayLike, bounds: Bounds = UNBOUNDED) -> tuple[float, float]:
    """The interval of the mean of values, one per seed; both bounds are NaN for fewer than ``LEAST``."""
    each = np.asarray(values, np.float64)
    low, high = interval((each / len(each)).sum(), [each], bounds)
    return float(low), float(high)


def mean_text(values: Sequence[float], bounds: Bounds = UNBOUNDED, unit: str = "") -> str:
    """``383.0 (95% t interval over 5 seeds: 329.0 to 437.0)``; of two seeds their values instead, of one it alone.

    Values whose ``unit`` is ``share`` are shown in percent.
    """
    if not values:
        return "none"
    mean = math.fsum(value / len(values) for value in values)
    low, high = mean_interval(values, bounds)
    if not math.isnan(low):
        ends = " to ".join(value_text(value, unit, mean) for value in (low, high))
        return f"{value_text(mean, unit)} ({method(f'{len(values)} seeds')}: {ends})"
    listed = ", ".join(value_text(value, unit, mean) for value in values)
    return f"{value_text(mean, unit)} ({listed})" if len(values) > 1 else value_text(mean, unit)


def value_text(value: float, unit: str = "", beside: float | None = None) -> str:
    """``383.0``, ``0.912``, or ``91.2%`` where the unit is ``share``; with as many digits as the value ``beside``."""
    if unit == "share":
        return f"{value:.1%}"
    return f"{value:,.3f}" if abs(value if beside is None else beside) <= 1 else f"{value:,.1f}"
