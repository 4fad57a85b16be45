"""Environments whose observations hold the skill of their episode. Tests: tests/environments/test_skills.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from composer.environments.interface import Step, VectorEnvironment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.interface import Observations
    from composer.environments.skills import Skills


class SkilledVector(VectorEnvironment):
    """Environments whose observations hold the skill of their episode, as ``environments.skills`` says.

    Legend: n environments, k numbers, F pictures of c channels.
    """

    def __init__(self, within: VectorEnvironment, skills: Skills, seeds: Sequence[int]) -> None:
        """``seeds`` [n] are those of the environments ``within``."""
        self._within, self._skills, self._seeds = within, skills, tuple(seeds)
        self.info, self.n = skills.described(within.info), within.n
        self._episodes = np.full(self.n, -1, np.int64)
        self._drawn = np.zeros((self.n, skills.size), np.float32)

    @override
    def reset(self, episode: int | None = None) -> Observations:
        observation = self._within.reset(episode)
        numbers = self._episodes + 1 if episode is None else np.full(self.n, episode, np.int64)
        self._begin(np.arange(self.n), numbers)
        return self._seen(observation)

    @override
    def step(self, actions: NDArray[np.float32]) -> Step:
        step = self._within.step(actions)
        final = self._seen(step.final_observation)
        ended = step.terminated | step.truncated
        self._begin(ended.nonzero()[0], self._episodes + 1)
        found = step._replace(observation=self._seen(step.observation), final_observation=final)
        if self._skills.limit == "terminates":
            found = found._replace(terminated=ended, truncated=np.zeros_like(ended))
        return found

    @override
    def solved(self) -> NDArray[np.int64]:
        return self._within.solved()

    @override
    def places(self) -> NDArray[np.float64]:
        return self._within.places()

    @override
    def scores(self) -> Mapping[str, NDArray[np.float64]]:
        return self._within.scores()

    @override
    def state(self) -> dict[str, NDArray[np.generic]]:
        """That of the environments within, and ``skill_episodes`` [n], which the skills follow from."""
        return {**self._within.state(), "skill_episodes": self._episodes.copy()}

    @override
    def load_state(self, state: Mapping[str, NDArray[np.generic]]) -> Observations:
        within = {name: value for name, value in state.items() if name != "skill_episodes"}
        observation = self._within.load_state(within)
        self._begin(np.arange(self.n), np.asarray(state["skill_episodes"], np.int64))
        return self._seen(observation)

    @override
    def render(self, index: int) -> NDArray[np.uint8]:
        return self._within.render(index)

    @override
    def close(self) -> None:
        self._within.close()

    def _begin(self, where: NDArray[np.int64], numbers: NDArray[np.int64]) -> None:
        """Draw the skills of the episodes ``numbers`` [n] of the environments ``where``."""
        self._episodes[where] = numbers[where]
        for row in where.tolist():
            self._drawn[row] = self._skills.draw(self._seeds[row], int(numbers[row]))

    def _seen(self, observation: Observations) -> NDArray[Any]:
        if not self.info.pictures:
            return np.concatenate([observation, self._drawn], 1)
        frames, (height, width) = max(self.info.stacked_frames, 1), observation.shape[2:]
        pictures = observation.reshape(self.n, frames, -1, height, width)
        plane = self._skills.plane(self._drawn, height, width)[:, None, None]
        planes = np.broadcast_to(plane, (self.n, frames, 1, height, width))
        return np.concatenate([pictures, planes], 2).reshape(self.n, -1, height, width)
