"""A point in the plane without walls: its motion and its pictures. Tests: tests/environments/test_point.py."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from composer.environments.interface import RenderingUnavailable
from composer.environments.suites.frame_stack import FrameStack

START: Final = 0.1
"""Largest distance of a first coordinate from 0."""
RADIUS: Final = 3.0
"""Of a drawn point, in pixels: a cone of brightness, so that a fraction of a pixel shows."""


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

    def place(self) -> NDArray[np.float64]:
        """The position."""
        return self._position

    def observe(self) -> NDArray[np.float32]:
        """Position and velocity."""
        return np.concatenate([self._position, self._velocity]).astype(np.float32)

    def render(self) -> NDArray[np.uint8]:
        """There are no pictures."""
        raise RenderingUnavailable("a point has no pictures")

    def close(self) -> None:
        """Nothing is held."""


class PointPixels:
    """A point and its newest pictures, oldest first."""

    def __init__(self, point: PointSingle, stack: int, side: int, reach: float) -> None:
        """``side`` pixels show coordinates from ``-reach`` to ``reach``."""
        self._point, self._side, self._reach = point, side, reach
        self._frames = FrameStack(stack, self._draw, (1, side, side))
        self._centres = np.arange(side) + 0.5

    def reset(self, seed: int) -> None:
        """The first picture fills the stack."""
        self._point.reset(seed)
        self._frames.begin()

    def step(self, action: NDArray[np.float32]) -> tuple[float, bool, bool]:
        """One step."""
        self._frames.move()
        return self._point.step(action)

    def observe(self) -> NDArray[np.uint8]:
        """``[stack, side, side]``; the first picture of an episode fills it."""
        return self._frames.observe()

    def place(self) -> NDArray[np.float64]:
        """The position."""
        return self._point.place()

    def render(self) -> NDArray[np.uint8]:
        """The newest picture, in three equal colours."""
        return np.repeat(self._draw()[..., None], 3, 2)

    def close(self) -> None:
        """Nothing is held."""

    def _draw(self) -> NDArray[np.uint8]:
        across, up = (self._point.place() / self._reach + 1) * self._side / 2
        away = np.hypot(self._centres - across, (self._side - self._centres - up)[:, None])
        drawn: NDArray[np.uint8] = np.rint(255 * np.clip(1 - away / RADIUS, 0, 1)).astype(np.uint8)
        return drawn
