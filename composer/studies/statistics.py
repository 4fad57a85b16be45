"""Statistics over seeds: point estimates as rliable defines them, each with the one interval. Pure, on numpy alone.

Source: Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice", arXiv:2108.13264:
interquartile mean, median, optimality gap, probability of improvement. Intervals are not theirs: see
``composer.spec.interval`` and decision 21.
Legend: K tasks, n seeds of a task, N seeds of all tasks, T points of a curve. Tests: tests/studies/test_statistics.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from composer.spec.interquartile import TRIM, iqm
from composer.spec.interval import LEAST, LEVEL, UNBOUNDED, Bounds, interval, method
from composer.studies.shares import improvement_interval

Floats = NDArray[np.float64]

DISTANCE: Final = (0.0, math.inf)
"""The values that an error, a distance or a score of simplicity can have."""
DRAWS: Final = 10_000
"""Draws for the interval of a median over tasks."""
SHOWN: Final = 6
"""Numbers of seeds that are shown one by one."""
COVERAGE = {3: 0.62, 4: 0.61, 5: 0.66, 6: 0.72, 7: 0.78, 8: 0.84, 9: 0.86}
"""Coverage of the interval of a mean by number of seeds, where one seed in five fails; it is 0.95 for normal scores.

Measured, as tests/studies/test_interval.py does again; from 10 seeds on it is at least 0.88.
"""


class Estimate(NamedTuple):
    """A point estimate and the bounds of its interval; both bounds are NaN where a task has too few seeds."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float | None]:
        """``{"value", "low", "high"}`` for JSON, which has no NaN: None in its place."""
        return {name: None if math.isnan(number) else number for name, number in self._asdict().items()}


@dataclass(frozen=True)
class Scores:
    """One finite number per seed, by task. Tasks are strata: the spread of seeds is that within each."""

    tasks: tuple[Floats, ...]
    bounds: Bounds = UNBOUNDED
    """The lowest and the highest score that is possible."""

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ValueError("scores of no task")
        for scores in self.tasks:
            if scores.ndim != 1 or not len(scores):
                raise ValueError(f"a task's scores must be one or more numbers, got shape {list(scores.shape)}")
            if not np.isfinite(scores).all():
                raise ValueError("a score is not finite: the caller must leave out seeds that failed, or count them")

    @classmethod
    def of(cls, *tasks: ArrayLike, bounds: Bounds = UNBOUNDED) -> Scores:
        """From one vector per task; raises ValueError."""
        return cls(tuple(np.asarray(scores, np.float64) for scores in tasks), bounds)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Number of seeds of each task."""
        return tuple(len(scores) for scores in self.tasks)

    def mean(self) -> Estimate:
        """Mean over tasks of the mean over seeds."""
        return _estimate(_mean(self.tasks), self.shares(), self.bounds)

    def summary(self) -> dict[str, Any]:
        """The mean for JSON; of two seeds, which have no interval, with their ``values``."""
        few = [] if len(self.tasks) > 1 or not 1 < len(self.tasks[0]) < LEAST else self.tasks[0].tolist()
        return self.mean().as_dict() | ({"values": few} if few else {})

    def iqm(self) -> Estimate:
        """Interquartile mean: the scores of all tasks together, without the lowest and the highest quarter.

        In the interval, a score that is left out counts as the nearest one that is kept, and gives no degree of
        freedom: the standard error of a trimmed mean, Tukey and McLaughlin (1963), by strata.
        """
        pooled = np.sort(np.concatenate(self.tasks))
        cut = int(TRIM * len(pooled))
        kept = pooled[cut : len(pooled) - cut]
        weights = [len(scores) / len(kept) for scores in self.tasks]
        strata = [w * scores.clip(kept[0], kept[-1]) for w, scores in zip(weights, self.tasks, strict=True)]
        inside = [int(((scores >= kept[0]) & (scores <= kept[-1])).sum()) for scores in self.tasks]
        return _estimate(float(iqm(pooled)), strata, self.bounds, [max(count - 1, 1) for count in inside])

    def median(self) -> Estimate:
        """Median over tasks of the mean over seeds; of one task its mean.

        A middle task has no contributions of seeds that add up: the interval holds the medians of means that are drawn
        from the t distribution of each task, a generalised interval of Weerahandi, JASA 88 (1993), p. 899.
        """
        if len(self.tasks) == 1:
            return self.mean()
        low, high = quantiles(np.median(mean_draws(self.tasks), axis=1)).clip(*self.bounds)
        return Estimate(float(np.median([scores.mean() for scores in self.tasks])), float(low), float(high))

    def optimality_gap(self, optimum: float = 1.0) -> Estimate:
        """By how much scores fall short of ``optimum``, averaged over tasks; more than it counts as much as it."""
        short = tuple(optimum - scores.clip(max=optimum) for scores in self.tasks)
        bounds = max(0.0, optimum - self.bounds[1]), max(0.0, optimum - self.bounds[0])
        return Scores(short, bounds).mean()

    def shares(self, sign: int = 1) -> list[Floats]:
        """Contributions of seeds to the mean over tasks, one array per task."""
        return [sign * scores / len(self.tasks) for scores in self.tasks]


@dataclass(frozen=True)
class Curve:
    """A metric of n seeds at T common steps."""

    steps: NDArray[np.int64]
    """``[T]``, strictly increasing."""
    values: Floats
    """``[n, T]``"""
    bounds: Bounds = UNBOUNDED
    """The lowest and the highest value that is possible."""

    def __post_init__(self) -> None:
        if self.values.shape[1:] != self.steps.shape or not self.values.size:
            raise ValueError(
                f"a curve needs values [n, T] at T steps, got {list(self.values.shape)} at {list(self.steps.shape)}"
            )
        if (np.diff(self.steps) <= 0).any():
            raise ValueError("a curve's steps must rise")

    def only(self, chosen: NDArray[np.bool_]) -> Curve:
        """The curve at the steps that the mask ``[T]`` chooses."""
        return Curve(self.steps[chosen], self.values[:, chosen], self.bounds)

    def area(self) -> Floats:
        """Area under each seed's curve divided by its length, ``[n]``, by trapezoids: a mean over steps."""
        if len(self.steps) == 1:
            return self.values[:, 0].copy()
        area: Floats = np.trapezoid(self.values, self.steps, axis=1) / (self.steps[-1] - self.steps[0])
        return area

    def first_reach(self, threshold: float) -> Floats:
        """First step at which each seed reaches ``threshold``, ``[n]``; infinity where it never does."""
        reached = self.values >= threshold
        first: Floats = np.where(reached.any(1), self.steps[reached.argmax(1)], np.inf)
        return first

    def band(self) -> tuple[Floats, Floats, Floats]:
        """Mean over seeds and its pointwise interval, each ``[T]``; the bounds are NaN for too few seeds."""
        mean = self.values.mean(0)
        return mean, *interval(mean, [self.values], self.bounds)


def span(estimate: Mapping[str, Any], form: str) -> str:
    """``value [low, high]`` of ``Scores.summary`` in the number format ``form``; ``value (first, second)`` without."""
    value = f"{estimate['value']:{form}}"
    if estimate["low"] is not None:
        return f"{value} [{estimate['low']:{form}}, {estimate['high']:{form}}]"
    listed = ", ".join(f"{each:{form}}" for each in estimate.get("values", ()))
    return f"{value} ({listed})" if listed else value


def seeds_text(seeds: Sequence[int]) -> str:
    """Numbers of seeds by task: ``5``, ``57×15``, ``5+6``, and ``3 to 15 a task`` where they differ on many."""
    if len(seeds) == 1:
        return str(seeds[0])
    if len(set(seeds)) == 1:
        return f"{len(seeds)}×{seeds[0]}"
    return "+".join(map(str, seeds)) if len(seeds) <= SHOWN else f"{min(seeds)} to {max(seeds)} a task"


def p_text(value: float) -> str:
    """A p-value as papers print it."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def coverage_notes(count: int, noun: str) -> list[str]:
    """What intervals from ``count`` seeds or pairs may miss; nothing from 10 on, and none without an interval."""
    if count not in COVERAGE:
        return []
    where = f"{LEVEL:.0%} of the time for normal scores, and {COVERAGE[count]:.0%} where one in five fails"
    return [f"a {method(f'{count} {noun}')} covers the mean {where}"]


def mean_draws(tasks: Sequence[Floats]) -> Floats:
    """Means that each task may have, ``[B, K]``: its mean over seeds plus its standard error times draws from t.

    The same draws each time. NaN where a task has too few seeds.
    """
    draws = _t_draws(tuple(max(len(scores) - 1, 1) for scores in tasks))
    spreads = [scores.std(ddof=1) / math.sqrt(len(scores)) if len(scores) >= LEAST else math.nan for scores in tasks]
    means = [scores.mean() for scores in tasks]
    return np.array(means) + np.array(spreads) * draws


@cache
def _t_draws(freedoms: tuple[int, ...]) -> Floats:
    """Draws from t distributions of these degrees of freedom, ``[B, K]``."""
    rng = np.random.default_rng(0)
    return np.stack([rng.standard_t(freedom, DRAWS) for freedom in freedoms], axis=1)


def quantiles(draws: Floats) -> Floats:
    """The bounds ``[2, ...]`` between which ``LEVEL`` of the draws ``[B, ...]`` are."""
    return np.quantile(draws, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0)


def difference(ours: Scores, theirs: Scores) -> Estimate:
    """Mean of ``ours`` minus mean of ``theirs``, averaged over tasks; Welch's interval where there is one task."""
    _same_tasks(ours, theirs)
    bounds = ours.bounds[0] - theirs.bounds[1], ours.bounds[1] - theirs.bounds[0]
    return _estimate(_mean(ours.tasks) - _mean(theirs.tasks), [*ours.shares(), *theirs.shares(-1)], bounds)


def probability_of_improvement(ours: Scores, theirs: Scores) -> Estimate:
    """P(a seed of ``ours`` scores higher than one of ``theirs``), ties counted half, averaged over tasks.

    The interval is a score interval, ``studies.shares``: it has a width where one agent wins every time, too.
    """
    _same_tasks(ours, theirs)
    chances = [float(np.mean(np.sign(x[:, None] - y) + 1) / 2) for x, y in zip(ours.tasks, theirs.tasks, strict=True)]
    sizes = list(zip(ours.seeds, theirs.seeds, strict=True))
    return Estimate(float(np.mean(chances)), *improvement_interval(chances, sizes))


def least_p_value(ours: Scores, theirs: Scores) -> float:
    """The smallest two-sided p-value that so many seeds can give: complete separation, by permutation within tasks."""
    _same_tasks(ours, theirs)
    labellings = math.prod(math.comb(n + m, n) for n, m in zip(ours.seeds, theirs.seeds, strict=True))
    return min(1.0, 2 / labellings)


def _mean(tasks: Sequence[Floats]) -> float:
    """Mean over tasks of the mean over seeds."""
    return float(np.mean([scores.mean() for scores in tasks]))


def _estimate(value: float, strata: Sequence[Floats], bounds: Bounds, degrees: Sequence[int] | None = None) -> Estimate:
    low, high = interval(value, strata, bounds, degrees)
    return Estimate(value, float(low), float(high))


def _same_tasks(ours: Scores, theirs: Scores) -> None:
    if len(ours.tasks) != len(theirs.tasks):
        raise ValueError(f"scores on {len(ours.tasks)} and {len(theirs.tasks)} tasks cannot be compared")
