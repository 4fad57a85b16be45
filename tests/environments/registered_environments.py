"""Test environments that Gymnasium knows once this module is imported, as a user's own package would register them."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Painted(gymnasium.Env[np.ndarray, np.int64]):
    """Pictures of noise whose first pixel counts the steps; ends by itself when the choice ``stop`` is made."""

    observation_space = spaces.Box(0, 255, (12, 10, 3), np.uint8)
    action_space = spaces.Discrete(3, start=5)

    def __init__(self, stop: int = 7) -> None:
        self._stop = stop
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._steps = 0
        return self._paint(), {}

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        return self._paint(), float(action), bool(action == self._stop), False, {}

    def _paint(self) -> np.ndarray:
        picture = self.np_random.integers(0, 256, (12, 10, 3), np.uint8)
        picture[0, 0] = self._steps, 100, 200
        return picture


class Shapes(gymnasium.Env[Any, np.ndarray]):
    """A dictionary in, a matrix of numbers out, one column of which has no bounds; the reward tells what came in."""

    observation_space = spaces.Dict({"where": spaces.Discrete(4), "at": spaces.Box(-1, 1, (2,), np.float64)})
    action_space = spaces.Box(
        np.array([[0.0, -np.inf], [-4.0, -np.inf]], np.float32), np.array([[10.0, np.inf], [0.0, np.inf]], np.float32)
    )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return {"where": 2, "at": np.array([0.25, -0.5])}, {}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert action.shape == (2, 2) and action.dtype == np.float32
        reward = float(action[0, 0] + 100 * action[0, 1] + 1000 * action[1, 0] + 10000 * action[1, 1])
        return {"where": 3, "at": np.zeros(2)}, reward, False, False, {}


class Unfit(gymnasium.Env[Any, Any]):
    """Spaces of which one has no fixed size or is no choice and no box."""

    def __init__(self, observed: bool) -> None:
        self.observation_space = spaces.Sequence(spaces.Discrete(2)) if observed else spaces.Discrete(2)
        self.action_space = spaces.Discrete(2) if observed else spaces.MultiDiscrete([2, 2])


gymnasium.register("test/Painted-v0", Painted, max_episode_steps=6)
gymnasium.register("test/Shapes-v0", Shapes)
gymnasium.register("test/Unfit-v0", Unfit, max_episode_steps=5)


class Target(gymnasium.Env[np.ndarray, np.ndarray]):
    """A point on a line that an action moves; solved while it is near 0. Ends by itself far away."""

    observation_space = spaces.Box(-10, 10, (1,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, tells: bool = True) -> None:
        self._tells = tells
        self._at = 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._at = self.np_random.uniform(-2, 2)
        return np.array([self._at], np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self._at += float(action[0])
        told = {"won": np.bool_(abs(self._at) < 0.5)} if self._tells else {"other": 1}
        return np.array([self._at], np.float32), -abs(self._at), abs(self._at) > 4, False, told


gymnasium.register("test/Target-v0", Target, max_episode_steps=9)
