"""Stand-ins of packages that the tests do not have: modules with their ids, spaces, rewards and traps.

Each is imported as the package would be, and draws, prints and tells success as that does.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces


class StandIn(gymnasium.Env[np.ndarray, np.ndarray]):
    """Drifts from a point that NumPy's global generator draws; the reward is in [0, 1], as in HumanoidBench."""

    def __init__(self, sizes: tuple[int, int], told: str = "", render_mode: str | None = None) -> None:
        print("True")  # HumanoidBench prints when it is built
        self.observation_space = spaces.Box(-np.inf, np.inf, sizes[:1], np.float64)
        self.action_space = spaces.Box(-1, 1, sizes[1:], np.float32)
        self._told = told

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        goal = np.random.uniform(-1, 1) + self.action_space.sample()[0]  # as reach and OGBench's mazes do
        self._state = self.np_random.uniform(-0.01, 0.01, self.observation_space.shape)
        self._state[-1] = goal
        return self._state.copy(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self._state = self._state + 0.01 * action.mean() + 0.001 * np.random.normal()
        reward = float(np.exp(-abs(self._state[-1])))
        info = {self._told: bool(reward > 0.9)} if self._told else {}
        return self._state.copy(), reward, bool(self._state[0] < -0.2), False, info


def install(monkeypatch: pytest.MonkeyPatch, package: str, tasks: dict[str, tuple[int, int, int]], told: str) -> None:
    """Let ``package`` be importable, with ids of these observation sizes, action sizes and time limits."""
    module = ModuleType(package)
    module.__spec__ = __import__("importlib.machinery", fromlist=["ModuleSpec"]).ModuleSpec(package, None)
    monkeypatch.setitem(sys.modules, package, module)
    for name, (observed, acted, limit) in tasks.items():
        spec = gymnasium.envs.registration.EnvSpec(
            id=name, entry_point=StandIn, max_episode_steps=limit, kwargs={"sizes": (observed, acted), "told": told}
        )
        monkeypatch.setitem(gymnasium.registry, name, spec)
