"""Environments whose observations are filled up, reordered and shifted before an agent sees them.

Legend: n environments, d entries of an observation. Tests: tests/environments/test_simulator_phases.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from typing_extensions import override

from composer.environments.interface import EnvironmentInfo, Step, VectorEnvironment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.interface import Observations


class View(NamedTuple):
    """What one environment's observations go through."""

    permutation: int | None
    """Seed of the order of entries; None keeps it."""
    offset: float
    """Largest size of an entry's shift."""
    shift: int
    """Seed of the shift."""

    @property
    def is_plain(self) -> bool:
        """Whether nothing changes."""
        return self.permutation is None and not self.offset

    def order(self, size: int) -> NDArray[np.int64]:
        """The entry that comes to each place, ``[d]``."""
        return np.arange(size) if self.permutation is None else _random(self.permutation).permutation(size)

    def shifts(self, size: int) -> NDArray[np.float32]:
        """What is added to each entry once it is in its place, ``[d]``."""
        return _random(self.shift).uniform(-self.offset, self.offset, size).astype(np.float32)


def viewed(environments: VectorEnvironment, info: EnvironmentInfo, views: Sequence[View]) -> VectorEnvironment:
    """``environments`` seen through ``views`` [n] in the spaces of ``info``; the same object where nothing changes."""
    sizes = (environments.info.observation, environments.info.action_size)
    if sizes == (info.observation, info.action_size) and all(view.is_plain for view in views):
        return environments
    return ViewedVector(environments, info, views)


class ViewedVector(VectorEnvironment):
    """Environments seen through views. Their state is that of the environments within."""

    def __init__(self, within: VectorEnvironment, info: EnvironmentInfo, views: Sequence[View]) -> None:
        """``views`` [n] and ``info`` as in ``viewed``."""
        self._within, self.info, self.n = within, info, within.n
        size = int(np.prod(info.observation))
        plain = all(view.permutation is None for view in views)
        self._order = None if plain else np.stack([view.order(size) for view in views])
        self._shift = np.stack([view.shifts(size) for view in views]) if any(view.offset for view in views) else None

    @override
    def reset(self, episode: int | None = None) -> Observations:
        seen: Observations = self._seen(self._within.reset(episode))
        return seen

    @override
    def step(self, actions: NDArray[np.float32]) -> Step:
        step = self._within.step(self._taken(actions))
        final = self._seen(step.final_observation)
        ended = (step.terminated | step.truncated).nonzero()[0]
        observation = final
        if ended.size:
            observation = final.copy()
            observation[ended] = self._seen(step.observation)[ended]
        return step._replace(observation=observation, final_observation=final)

    @override
    def solved(self) -> NDArray[np.int64]:
        return self._within.solved()

    @override
    def scores(self) -> Mapping[str, NDArray[np.float64]]:
        return self._within.scores()

    @override
    def state(self) -> dict[str, NDArray[np.generic]]:
        return self._within.state()

    @override
    def load_state(self, state: Mapping[str, NDArray[np.generic]]) -> Observations:
        seen: Observations = self._seen(self._within.load_state(state))
        return seen

    @override
    def render(self, index: int) -> NDArray[np.uint8]:
        return self._within.render(index)

    @override
    def close(self) -> None:
        self._within.close()

    def _seen(self, observation: Observations) -> Any:
        """Observations [n, ...] as agents see them, in memory of their own."""
        rows: NDArray[Any] = np.zeros((self.n, *self.info.observation), observation.dtype)
        rows[:, : observation.shape[1]] = observation
        flat = rows.reshape(self.n, -1)
        if self._order is not None:
            flat = np.take_along_axis(flat, self._order, axis=1)
        if self._shift is not None:
            flat = flat + self._shift
        return flat.reshape(rows.shape)

    def _taken(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Actions [n, a] that the task within has."""
        known = self._within.info.action_size
        if actions.shape[1:] != (self.info.action_size,) or known == self.info.action_size:
            return actions
        taken = actions[:, :known].copy()
        if self.info.discrete:
            taken[:, 0] += actions[:, known:].sum(1)
        return taken


def _random(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))
