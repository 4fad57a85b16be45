"""A point in the plane without walls: its motion. Tests: tests/environments/test_point.py."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from composer.environments.interface import RenderingUnavailable

START: Final = 0.1
"""Largest distance of a first coordinate from 0."""


class PointSingle:
    """One point and its episode."""

    def __init__(self, inertia: float, limit: int) -> None:
        """``inertia`` is the share of the velocity that a step keeps; ``limit`` counts environment steps."""
        self._inertia, self._limit, self._taken = inertia, limit, 0
        self._position = self._velocity = np.zeros(2)

    def reset(self, seed: int) -> None:
        """Start at rest near the origin."""
        self._position, self._velocity = np.random.default_rng(seed).uniform(-START, START, 2), np.zeros(2)
        self._taken = 0

    def step(self, action: NDArray[np.float32]) -> tuple[float, bool, bool]:
        """The new velocity is added to the position; reward is 0."""
        self._velocity = self._inertia * self._velocity + (1 - self._inertia) * action
        self._position = self._position + self._velocity
        self._taken += 1
        return 0.0, False, self._taken >= self._limit

    def observe(self) -> NDArray[np.float32]:
        """Position and velocity."""
        return np.concatenate([self._position, self._velocity]).astype(np.float32)

    def render(self) -> NDArray[np.uint8]:
        """There are no pictures."""
        raise RenderingUnavailable("a point has no pictures")

    def close(self) -> None:
        """Nothing is held."""
