"""Distributions of reward noise with mean zero: draws, tails and the integrals that projections need, in closed form.

Tests: tests/studies/tabular/test_chains.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]


class Noise(ABC):
    """A random number X with mean zero."""

    name: str

    @abstractmethod
    def bounds(self) -> tuple[float, float]:
        """What it lies between; of an unbounded one, nearly always."""

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

    name: str
    values: tuple[float, ...]
    weights: tuple[float, ...]

    def bounds(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return min(self.values), max(self.values)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Independent draws."""
        return rng.choice(np.asarray(self.values), size=shape, p=self.weights)

    def below(self, x: Floats) -> Floats:
        """P(X < x)."""
        chance: Floats = (np.asarray(self.values) < x[..., None]) @ np.asarray(self.weights)
        return chance

    def ramp(self, edge: Floats, width: float) -> Floats:
        """``E clip((edge - X) / width, 0, 1)``."""
        each = np.clip((edge[..., None] - np.asarray(self.values)) / width, 0, 1)
        mean: Floats = each @ np.asarray(self.weights)
        return mean


@dataclass(frozen=True)
class Smooth(Noise):
    """Has a density."""

    name: str
    reach: tuple[float, float]
    drawn: Callable[[np.random.Generator, tuple[int, ...]], Floats]
    cdf: Callable[[Floats], Floats]
    quantile: Callable[[Floats], Floats]
    excess: Callable[[Floats], Floats]
    """``E max(X - c, 0)``."""

    def bounds(self) -> tuple[float, float]:
        """Where all but little of it lies."""
        return self.reach

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Independent draws."""
        return self.drawn(rng, shape)

    def below(self, x: Floats) -> Floats:
        """P(X < x)."""
        return self.cdf(x)

    def ramp(self, edge: Floats, width: float) -> Floats:
        """``E clip((edge - X) / width, 0, 1)``."""
        return 1 - (self.excess(edge - width) - self.excess(edge)) / width


NONE: Final = Finite("none", (0.0,), (1.0,))
COIN: Final = Finite("coin", (-1.0, 1.0), (0.5, 0.5))
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
    # Two degrees of freedom: it has a mean and no variance, and everything about it is elementary.
    "student",
    (-12.0, 12.0),
    lambda rng, shape: rng.standard_t(2, shape),
    lambda x: 0.5 + 0.5 * x / np.sqrt(2 + x * x),
    lambda level: (2 * level - 1) / np.sqrt(2 * level * (1 - level)),
    lambda c: 0.5 * (np.hypot(c, np.sqrt(2.0)) - c),
)
NOISES: Final[dict[str, Noise]] = {noise.name: noise for noise in (NONE, COIN, GAUSSIAN, EXPONENTIAL, STUDENT)}
