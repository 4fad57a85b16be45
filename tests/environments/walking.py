"""A simulator of pure functions of numbers, and the kind of its environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from composer.environments import Simulator, VectorEnvironment
from composer.environments.interface import EnvironmentInfo
from composer.environments.vector.batch_functions import Moved, Present
from composer.environments.vector.functional_vector import FunctionalVector

INFO = EnvironmentInfo((2,), 3, episode_env_steps=9, action_repeat=1, terminates=True, discrete=True)
WALL, SEEDS = 4.0, [11, 7, 5, 2]


class Walk:
    """Position and time; a step goes left, stays or goes right, and a random number comes on top."""

    raising: Exception | None = None

    def start(self, seeds: NDArray[np.int64]) -> Present:
        return self._at(np.stack([seeds % 5 - 2.0, np.zeros(len(seeds))], 1))

    def restart(self, present: Present, rows: NDArray[np.int64], seeds: NDArray[np.int64]) -> Present:
        state = present.state.copy()
        state[rows] = self.start(seeds).state
        return self._at(state)

    def step(
        self, state: Any, seeds: NDArray[np.int64], decisions: NDArray[np.int64], actions: NDArray[np.float32]
    ) -> Moved:
        if self.raising is not None:
            raise self.raising
        drawn = [np.random.default_rng([seed, at]).normal() for seed, at in zip(seeds, decisions, strict=True)]
        state = state + np.stack([actions.argmax(1) - 1 + np.array(drawn), np.ones(len(seeds))], 1)
        terminated = np.abs(state[:, 0]) > WALL
        truncated = (state[:, 1] >= INFO.episode_env_steps) & ~terminated
        ones = np.ones(len(seeds), np.int64)
        scores = {"evaluation/time": state[:, 1]}
        return Moved(self._at(state), state[:, 0].astype(np.float32), ones, terminated, truncated, scores)

    def score_names(self) -> tuple[str, ...]:
        return ("evaluation/time",)

    def packed(self, state: Any) -> NDArray[np.uint8]:
        return np.ascontiguousarray(state).view(np.uint8)

    def unpacked(self, packed: NDArray[np.uint8]) -> Present:
        if packed.shape[1] != 16:
            raise ValueError("other bytes")
        return self._at(packed.copy().view(np.float64))

    def render(self, state: Any, row: int) -> NDArray[np.uint8]:
        return np.full((2, 2, 3), int(state[row, 1]), np.uint8)

    def _at(self, state: Any) -> Present:
        return Present(state, state.astype(np.float32))


class Walking(Simulator, kind="test/walking"):
    """Walks that go on from their bytes."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "test/walking"}

    def describe(self) -> EnvironmentInfo:
        return INFO

    def vector(self, seeds: Sequence[int]) -> VectorEnvironment:
        return FunctionalVector(INFO, seeds, Walk())
