"""Statistics over seeds: point estimates with bootstrap intervals, as rliable defines them. Pure, on numpy alone.

Source: Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice", arXiv:2108.13264:
interquartile mean, stratified bootstrap with percentile intervals, probability of improvement.
Legend: K tasks, n seeds of a task, T points of a curve, R bootstrap repetitions.
Tests: tests/studies/test_statistics.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

REPETITIONS: Final = 10_000
LEVEL: Final = 0.95
SEED: Final = 0
"""Seed of the bootstrap: equal runs give equal figures."""
TRIM: Final = 0.25
"""Share of scores that the interquartile mean leaves out at either end."""
COVERAGE = {2: 0.50, 3: 0.75, 4: 0.80, 5: 0.84, 6: 0.86, 7: 0.88, 8: 0.88, 9: 0.89}
"""Coverage of the 95% interval of a mean by number of seeds, for normally distributed scores.

Measured, as tests/studies/test_statistics.py does again; from 10 seeds on it is at least 0.9.
"""


class Estimate(NamedTuple):
    """A point estimate and the bounds of its interval; both bounds are NaN where a task has a single seed."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float | None]:
        """``{"value", "low", "high"}`` for JSON, which has no NaN: None in its place."""
        return {name: None if math.isnan(number) else number for name, number in self._asdict().items()}


@dataclass(frozen=True)
class Scores:
    """One finite number per seed, by task. Tasks are the strata of the bootstrap: seeds are resampled within each."""

    tasks: tuple[Floats, ...]

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ValueError("scores of no task")
        for scores in self.tasks:
            if scores.ndim != 1 or not len(scores):
                raise ValueError(f"a task's scores must be one or more numbers, got shape {list(scores.shape)}")
            if not np.isfinite(scores).all():
                raise ValueError("a score is not finite: the caller must leave out seeds that failed, or count them")

    @classmethod
    def of(cls, *tasks: ArrayLike) -> Scores:
        """From one vector per task; raises ValueError."""
        return cls(tuple(np.asarray(scores, np.float64) for scores in tasks))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Number of seeds of each task."""
        return tuple(len(scores) for scores in self.tasks)

    def mean(self) -> Estimate:
        """Mean over tasks of the mean over seeds."""
        return self._estimate(_mean)

    def iqm(self) -> Estimate:
        """Interquartile mean: the scores of all tasks together, without the lowest and the highest quarter."""
        return self._estimate(_pooled_iqm)

    def _estimate(self, statistic: Callable[[Sequence[Floats]], Floats]) -> Estimate:
        rng = np.random.default_rng(SEED)
        value = float(statistic([scores[None] for scores in self.tasks])[0])
        return _interval(value, lambda: statistic([_redrawn(scores, rng) for scores in self.tasks]), self.seeds)


@dataclass(frozen=True)
class Curve:
    """A metric of n seeds at T common steps."""

    steps: NDArray[np.int64]
    """``[T]``, strictly increasing."""
    values: Floats
    """``[n, T]``"""

    def __post_init__(self) -> None:
        if self.values.shape[1:] != self.steps.shape or not self.values.size:
            raise ValueError(
                f"a curve needs values [n, T] at T steps, got {list(self.values.shape)} at {list(self.steps.shape)}"
            )
        if (np.diff(self.steps) <= 0).any():
            raise ValueError("a curve's steps must rise")

    def only(self, chosen: NDArray[np.bool_]) -> Curve:
        """The curve at the steps that the mask ``[T]`` chooses."""
        return Curve(self.steps[chosen], self.values[:, chosen])

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
        """Mean over seeds and its pointwise bootstrap interval, each ``[T]``; the bounds are NaN for one seed."""
        mean = self.values.mean(0)
        n = len(self.values)
        if n == 1:
            return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
        drawn = _counts(n, np.random.default_rng(SEED)) @ self.values / n
        low, high = np.quantile(drawn, _tails(), axis=0)
        return mean, low, high


def span(estimate: Mapping[str, float | None], form: str) -> str:
    """``value [low, high]`` of ``Estimate.as_dict`` in the number format ``form``; no brackets without an interval."""
    value = f"{estimate['value']:{form}}"
    return value if estimate["low"] is None else f"{value} [{estimate['low']:{form}}, {estimate['high']:{form}}]"


def p_text(value: float) -> str:
    """A p-value as papers print it."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def coverage_notes(count: int, noun: str) -> list[str]:
    """A warning where intervals from ``count`` seeds or pairs are too narrow; none from 10 on, and none for one."""
    if count not in COVERAGE:
        return []
    real = f"for normal scores it covers the truth {COVERAGE[count]:.0%} of the time"
    return [f"a {LEVEL:.0%} bootstrap interval from {count} {noun} is too narrow: {real}"]


def iqm(scores: Floats) -> Floats:
    """Mean over the last axis without the ``floor(n / 4)`` lowest and as many highest, as scipy's ``trim_mean``."""
    n = scores.shape[-1]
    cut = int(TRIM * n)
    middle: Floats = np.partition(scores, (cut, n - cut - 1), axis=-1)[..., cut : n - cut].mean(-1)
    return middle


def difference(ours: Scores, theirs: Scores) -> Estimate:
    """Mean of ``ours`` minus mean of ``theirs``, averaged over tasks; both are resampled independently."""
    _same_tasks(ours, theirs)
    rng = np.random.default_rng(SEED)

    def statistic(draw: Callable[[Floats], Floats]) -> Floats:
        left = _mean([draw(scores) for scores in ours.tasks])
        return left - _mean([draw(scores) for scores in theirs.tasks])

    value = float(statistic(lambda scores: scores[None])[0])
    return _interval(value, lambda: statistic(lambda scores: _redrawn(scores, rng)), (*ours.seeds, *theirs.seeds))


def probability_of_improvement(ours: Scores, theirs: Scores) -> Estimate:
    """P(a seed of ``ours`` scores higher than one of ``theirs``), ties counted half, averaged over tasks."""
    _same_tasks(ours, theirs)
    rng = np.random.default_rng(SEED)
    wins = [0.5 * (1 + np.sign(x[:, None] - y)) for x, y in zip(ours.tasks, theirs.tasks, strict=True)]

    def redrawn() -> Floats:
        each = [((_counts(len(w), rng) @ w) * _counts(w.shape[1], rng)).sum(1) / w.size for w in wins]
        chance: Floats = np.mean(each, axis=0)
        return chance

    return _interval(float(np.mean([w.mean() for w in wins])), redrawn, (*ours.seeds, *theirs.seeds))


def least_p_value(ours: Scores, theirs: Scores) -> float:
    """The smallest two-sided p-value that so many seeds can give: complete separation, by permutation within tasks."""
    _same_tasks(ours, theirs)
    labellings = math.prod(math.comb(n + m, n) for n, m in zip(ours.seeds, theirs.seeds, strict=True))
    return min(1.0, 2 / labellings)


def _mean(tasks: Sequence[Floats]) -> Floats:
    """``[R]``, from ``[R, n]`` per task."""
    averaged: Floats = np.mean([scores.mean(-1) for scores in tasks], axis=0)
    return averaged


def _pooled_iqm(tasks: Sequence[Floats]) -> Floats:
    return iqm(np.concatenate(tasks, axis=-1))


def _interval(value: float, redrawn: Callable[[], Floats], seeds: Sequence[int]) -> Estimate:
    if min(seeds) < 2:
        return Estimate(value, math.nan, math.nan)
    low, high = np.quantile(redrawn(), _tails())
    return Estimate(value, float(low), float(high))


def _tails() -> tuple[float, float]:
    return (1 - LEVEL) / 2, (1 + LEVEL) / 2


def _redrawn(scores: Floats, rng: np.random.Generator) -> Floats:
    """``[R, n]``: scores of seeds drawn with replacement."""
    drawn: Floats = scores[rng.integers(len(scores), size=(REPETITIONS, len(scores)))]
    return drawn


def _counts(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """``[R, n]``: how often each seed was drawn."""
    return rng.multinomial(n, np.full(n, 1 / n), size=REPETITIONS)


def _same_tasks(ours: Scores, theirs: Scores) -> None:
    if len(ours.tasks) != len(theirs.tasks):
        raise ValueError(f"scores on {len(ours.tasks)} and {len(theirs.tasks)} tasks cannot be compared")
