"""Reward noise with mean zero: samples, distribution functions, and the integrals that projections need.

Tests: tests/studies/tabular/test_chains.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Finite:
    """Takes finitely many values."""

    is_bounded: ClassVar = True
    name: str
    values: tuple[float, ...]
    weights: tuple[float, ...]

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return min(self.values), max(self.values)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Independent draws."""
        return rng.choice(np.asarray(self.values), size=shape, p=self.weights)

    def below(self, x: Floats) -> Floats:
        """P(X < x)."""
        chance: Floats = (np.asarray(self.values) < x[..., None]) @ np.asarray(self.weights)
        return chance

    def ramp(self, edge: Floats, width: float) -> Floats:
        """``E clip((edge - X) / width, 0, 1)``: the distribution function averaged over ``[edge - width, edge]``."""
        each = np.clip((edge[..., None] - np.asarray(self.values)) / width, 0, 1)
        mean: Floats = each @ np.asarray(self.weights)
        return mean


@dataclass(frozen=True)
class Smooth:
    """Has a density; its functions are those of ``Finite``."""

    is_bounded: ClassVar = False
    name: str
    bounds: tuple[float, float]
    """Bounds of nearly all draws."""
    draw: Callable[[np.random.Generator, tuple[int, ...]], Floats]
    below: Callable[[Floats], Floats]
    quantile: Callable[[Floats], Floats]
    excess: Callable[[Floats], Floats]
    """``E max(X - c, 0)``."""

    def ramp(self, edge: Floats, width: float) -> Floats:
        """``E clip((edge - X) / width, 0, 1)``."""
        return 1 - (self.excess(edge - width) - self.excess(edge)) / width


Noise = Finite | Smooth
"""A random number X with mean zero."""

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
