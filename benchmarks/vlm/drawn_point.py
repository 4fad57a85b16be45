"""A point in a square that is drawn: ``DrawnPoint-v0``, registered with Gymnasium by importing this module.

The agent reads the point's place and moves it. The task's own reward is 1 in the ninth of the square at the top right,
else 0; its picture has nothing but the point.
"""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

SIDE = 32
"""Rows and columns of a picture."""
DOWN, ACROSS = ("bottom", "middle", "top"), ("left", "center", "right")
GOAL = "a dot at the top right"
STEP, LENGTH = 0.2, 25
"""Largest move along each axis, and steps of an episode."""


def caption(place: NDArray[np.float64]) -> str:
    """The ninth of the square that a place is in, in words."""
    across, down = np.minimum((place + 1) * 1.5, 2).astype(int)
    return f"a dot at the {DOWN[down]} {ACROSS[across]}"


def draw(place: NDArray[np.float64], side: int = SIDE) -> NDArray[np.uint8]:
    """A red disc with soft edges on grey, ``[side, side, 3]``."""
    centre = (np.array([place[0], -place[1]]) + 1) / 2 * (side - 8) + 3.5
    rows, columns = np.mgrid[:side, :side]
    covered = np.clip(3.5 - np.hypot(columns - centre[0], rows - centre[1]), 0, 1)[..., None]
    colours = 200 * (1 - covered) + np.array([220, 30, 30]) * covered
    drawn: NDArray[np.uint8] = colours.round().astype(np.uint8)
    return drawn


class DrawnPoint(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """Starts anywhere; 25 steps."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012 - Gymnasium's own name

    def __init__(self, render_mode: str | None = None) -> None:
        self.observation_space = spaces.Box(-1, 1, (2,), np.float32)
        self.action_space = spaces.Box(-1, 1, (2,), np.float32)
        self.render_mode, self._place, self._taken = render_mode, np.zeros(2), 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """A place of its own for each seed."""
        super().reset(seed=seed)
        self._place, self._taken = self.np_random.uniform(-1, 1, 2), 0
        return self._place.astype(np.float32), {}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], SupportsFloat, bool, bool, dict[str, Any]]:
        """Move by a fifth of the action."""
        self._place = (self._place + STEP * np.asarray(action, np.float64)).clip(-1, 1)
        self._taken += 1
        reached = caption(self._place) == GOAL
        return self._place.astype(np.float32), float(reached), False, self._taken >= LENGTH, {"is_success": reached}

    def render(self) -> NDArray[np.uint8]:
        """The point."""
        return draw(self._place)


if "DrawnPoint-v0" not in gymnasium.registry:
    gymnasium.register("DrawnPoint-v0", f"{__name__}:DrawnPoint", max_episode_steps=LENGTH)
