"""Reward noise with mean zero: samples, distribution functions, and the integrals that projections need.

Tests: tests/studies/tabular/test_chains.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from typing_extensions import override

Floats = NDArray[np.float64]


class Noise(ABC):
    """A random number X with mean zero."""

    name: str
    is_bounded: ClassVar[bool]

    @abstractmethod
    def bounds(self) -> tuple[float, float]:
        """Bounds of X; of nearly all draws where it is unbounded."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Independent draws."""

    @abstractmethod
    def below(self, x: Floats) -> Floats:
        """P(X < x)."""

    @abstractmethod
    def ramp(self, edge: Floats, width: float) -> Floats:
        """``E clip((edge - X) / width, 0, 1)``: the distribution function averaged over ``[edge - width, edge]``."""


@dataclass(frozen=True)
class Finite(Noise):
    """Takes finitely many values."""

    is_bounded = True
    name: str
    values: tuple[float, ...]
    weights: tuple[float, ...]

    @override
    def bounds(self) -> tuple[float, float]:
        return min(self.values), max(self.values)

    @override
    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        return rng.choice(np.asarray(self.values), size=shape, p=self.weights)

    @override
    def below(self, x: Floats) -> Floats:
        chance: Floats = (np.asarray(self.values) < x[..., None]) @ np.asarray(self.weights)
        return chance

    @override
    def ramp(self, edge: Floats, width: float) -> Floats:
        each = np.clip((edge[..., None] - np.asarray(self.values)) / width, 0, 1)
        mean: Floats = each @ np.asarray(self.weights)
        return mean


@dataclass(frozen=True)
class Smooth(Noise):
    """Has a density."""

    is_bounded = False
    name: str
    reach: tuple[float, float]
    drawn: Callable[[np.random.Generator, tuple[int, ...]], Floats]
    cdf: Callable[[Floats], Floats]
    quantile: Callable[[Floats], Floats]
    excess: Callable[[Floats], Floats]
    """``E max(X - c, 0)``."""

    @override
    def bounds(self) -> tuple[float, float]:
        return self.reach

    @override
    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        return self.drawn(rng, shape)

    @override
    def below(self, x: Floats) -> Floats:
        return self.cdf(x)

    @override
    def ramp(self, edge: Floats, width: float) -> Floats:
        return 1 - (self.excess(edge - width) - self.excess(edge)) / width


NONE: Final = Finite("none", (0.0,), (1.0,))
GAUSSIAN: Final = Smooth(
    "gaussian",
    (-4.0, 4.0),
    lambda rng, shape: rng.standard_normal(shape),
    ndtr,
    ndtri,
    lambda c: np.exp(-0.5 * c * c) / np.sqrt(2 * np.pi) - c * ndtr(-c),
)
EXPONENTIAL: Final = Smooth(
    "exponential",
    (-1.0, 8.0),
    lambda rng, shape: rng.standard_exponential(shape) - 1,
    lambda x: -np.expm1(-np.maximum(x + 1, 0)),
    lambda level: -np.log1p(-level) - 1,
    lambda c: np.where(c > -1, np.exp(-np.maximum(c + 1, 0)), -c),
)
STUDENT: Final = Smooth(
    # Two degrees of freedom: a mean, no variance, and elementary formulas.
    "student",
    (-12.0, 12.0),
    lambda rng, shape: rng.standard_t(2, shape),
    lambda x: 0.5 + 0.5 * x / np.sqrt(2 + x * x),
    lambda level: (2 * level - 1) / np.sqrt(2 * level * (1 - level)),
    lambda c: 0.5 * (np.hypot(c, np.sqrt(2.0)) - c),
)
