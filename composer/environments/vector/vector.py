"""The vector environment: seeds of episodes, automatic reset, checks, and a state that can be replayed exactly.

The seed of episode k is derived from the environment's seed and k. With the actions since the reset it is the whole
state of an environment, whatever a simulator hides (docs/decisions/0007-environment-state.md).

Legend: n environments, d entries of an observation, a entries of an action.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from composer.environments.interface import (
    EnvironmentFailure,
    EnvironmentInfo,
    Step,
    VectorEnvironment,
)
from composer.environments.vector.checks import check_actions, check_finite
from composer.environments.vector.rows import RowFailure, Rows
from composer.spec.random_streams import derive

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.interface import Observations
    from composer.environments.rewards.base import Judge


def episode_seed(seed: int, episode: int) -> int:
    """The seed under which episode ``episode`` of the environment with ``seed`` is reset."""
    return derive(seed, "episode", episode)


class EpisodicVector(VectorEnvironment):
    """Rows and their running episodes. After a failed step only ``state`` and ``close`` may be called."""

    def __init__(
        self, info: EnvironmentInfo, seeds: Sequence[int], make_rows: Callable[[], Rows], judge: Judge | None = None
    ) -> None:
        """One environment for each of ``seeds``; ``judge`` gives the rewards of steps, if not the environment itself.

        Raises EnvironmentFailure, ValueError where two seeds are equal.
        """
        if not seeds or len(set(seeds)) != len(seeds):
            raise ValueError(f"environments need distinct seeds, one each; got {list(seeds)}")
        self.info, self._judge = info, judge
        self.n = n = len(seeds)
        self._seeds = tuple(seeds)
        self._all = np.arange(n)
        self._episodes = np.full(n, -1, np.int64)
        self._lengths = np.zeros(n, np.int64)
        # A one-hot action needs one byte per entry in the log.
        self._actions = np.zeros(
            (n, info.episode_interactions, info.action_size), np.uint8 if info.discrete else np.float32
        )
        self._returns = np.zeros(n, np.float64)
        self._env_steps = np.zeros(n, np.int64)
        # Of the running episodes, and of those of the last step, which may have ended.
        self._solved, self._told_solved = np.zeros((2, n, 2), np.int64)
        self._places = np.zeros((n, info.place_size))
        self._dtype: type[Any] = np.uint8 if info.pictures else np.float32
        self._observation: Any = np.zeros((n, *info.observation), self._dtype)
        # Two sets of results alternate: the results of one step stay valid until the step after the next.
        self._results = [self._new_step(), self._new_step()]
        self._running = False
        try:
            self._rows = make_rows()
        except RowFailure as failure:
            raise self._failure(failure, starting=0) from failure

    @override
    def reset(self, episode: int | None = None) -> Observations:
        numbers = self._episodes + 1 if episode is None else np.full(self.n, episode, np.int64)
        self._begin(self._all, numbers)
        self._commit_begin(self._all, numbers)
        return self._start_stepping()

    @override
    def step(self, actions: NDArray[np.float32]) -> Step:
        if not self._running:
            raise RuntimeError("reset the environments first; after a failure they cannot be stepped")
        check_actions(actions, self.n, self.info)
        arrays, step = self._rows.arrays, self._results[1]
        np.copyto(arrays.actions, actions)
        try:
            self._rows.step()
            np.copyto(step.final_observation, arrays.observation)
            np.copyto(self._places, arrays.place)
            judge = self._judge
            reward = arrays.reward if judge is None else judge.rewards(arrays.reward, arrays.picture)
            np.copyto(step.reward, reward, casting="same_kind")
            check_finite(step.final_observation, step.reward)
        except RowFailure as failure:
            raise self._failure(failure, actions) from failure
        ended = arrays.terminated | arrays.truncated
        where = (ended & ~arrays.continues).nonzero()[0]
        if where.size:
            self._begin(where, self._episodes + 1)
        onward = (ended & arrays.continues).nonzero()[0]
        if onward.size:
            self._continue(onward, actions)
        # Nothing above changes the log: after a failure, the state is that of the step before.
        self._log(actions)
        np.copyto(step.terminated, arrays.terminated)
        np.copyto(step.truncated, arrays.truncated)
        np.copyto(step.episode_return, self._returns)
        np.copyto(step.episode_length, self._env_steps)
        np.copyto(step.observation, arrays.observation)
        np.copyto(self._told_solved, self._solved)
        if where.size:
            self._commit_begin(where, self._episodes + 1)
        self._returns[onward] = self._env_steps[onward] = 0
        self._solved[onward] = 0
        self._results.reverse()
        self._observation = step.observation
        return step

    @override
    def solved(self) -> NDArray[np.int64]:
        return self._told_solved

    @override
    def places(self) -> NDArray[np.float64]:
        return self._places

    @override
    def state(self) -> dict[str, NDArray[np.generic]]:
        """Arrays by name: ``seeds``, ``episodes``, ``lengths`` (decisions) [n], ``actions`` [sum of lengths, a].

        ``returns`` [n] and ``observations`` [n, ...] verify a replay.
        """
        taken = [self._actions[row, : self._lengths[row]] for row in range(self.n)]
        return {
            "seeds": np.array(self._seeds, np.int64),
            "episodes": self._episodes.copy(),
            "lengths": self._lengths.copy(),
            "actions": np.concatenate(taken),
            "returns": self._returns.copy(),
            "observations": self._observation.copy(),
        }

    @override
    def load_state(self, state: Mapping[str, NDArray[np.generic]]) -> Observations:
        seeds = [int(seed) for seed in state["seeds"]]
        if seeds != list(self._seeds):
            raise ValueError(f"this state is that of environments with seeds {seeds}, not {list(self._seeds)}")
        self._episodes[:] = state["episodes"]
        self._lengths[:] = state["lengths"]
        taken = np.split(np.asarray(state["actions"], np.float32), np.cumsum(self._lengths)[:-1])
        resets = [(row, episode_seed(self._seeds[row], int(self._episodes[row]))) for row in range(self.n)]
        try:
            self._rows.replay(resets, taken)
            self._check_replay(state, lambda: self._rows.replay(resets, taken))
        except RowFailure as failure:
            raise self._failure(failure) from failure
        while self._lengths.max() > self._actions.shape[1]:
            self._grow()
        for row, actions in enumerate(taken):
            self._actions[row, : len(actions)] = actions
        arrays = self._rows.arrays
        np.copyto(self._returns, arrays.reward)
        np.copyto(self._env_steps, arrays.steps)
        self._solved[:] = arrays.solved if self.info.tells_success else 0
        return self._start_stepping()

    @override
    def render(self, index: int) -> NDArray[np.uint8]:
        try:
            return self._rows.render(index)
        except RowFailure as failure:
            raise self._failure(failure) from failure

    @override
    def close(self) -> None:
        self._running = False
        try:
            self._rows.close()
        except RowFailure as failure:
            raise self._failure(failure) from failure

    def _start_stepping(self) -> Observations:
        self._observation = self._rows.arrays.observation.copy()
        np.copyto(self._places, self._rows.arrays.place)
        self._running = True
        present: Observations = self._observation.copy()
        return present

    def _new_step(self) -> Step:
        n, observation = self.n, (self.n, *self.info.observation)
        return Step(
            observation=np.zeros(observation, self._dtype),
            final_observation=np.zeros(observation, self._dtype),
            reward=np.zeros(n, np.float32),
            terminated=np.zeros(n, np.bool_),
            truncated=np.zeros(n, np.bool_),
            episode_return=np.zeros(n, np.float64),
            episode_length=np.zeros(n, np.int64),
        )

    def _begin(self, where: NDArray[np.int64], numbers: NDArray[np.int64]) -> None:
        """Reset the rows ``where`` to their episodes in ``numbers`` [n]; the log stays as it is."""
        try:
            self._rows.reset([(row, episode_seed(self._seeds[row], int(numbers[row]))) for row in where.tolist()])
            for row in where.tolist():
                if not np.isfinite(self._rows.arrays.observation[row]).all():
                    raise RowFailure(row, "the observation after the reset is not finite")
        except RowFailure as failure:
            raise self._failure(failure, starting=int(numbers[failure.row])) from failure

    def _continue(self, where: NDArray[np.int64], actions: NDArray[np.float32]) -> None:
        try:
            self._rows.continue_episodes(where)
        except RowFailure as failure:
            raise self._failure(failure, actions) from failure

    def _commit_begin(self, where: NDArray[np.int64], numbers: NDArray[np.int64]) -> None:
        """Log that the episodes in ``numbers`` [n] have begun in the rows ``where``."""
        self._episodes[where] = numbers[where]
        self._lengths[where] = 0
        self._returns[where] = 0.0
        self._env_steps[where] = 0
        self._solved[where] = 0

    def _log(self, actions: NDArray[np.float32]) -> None:
        """Add one decision to the running episodes."""
        try:
            self._actions[self._all, self._lengths] = actions
        except IndexError:
            self._grow()
            self._actions[self._all, self._lengths] = actions
        self._lengths += 1
        self._returns += self._rows.arrays.reward
        self._env_steps += self._rows.arrays.steps
        if self.info.tells_success:
            self._solved += self._rows.arrays.solved

    def _grow(self) -> None:
        """Double the room for actions: an environment has passed its declared time limit."""
        self._actions = np.concatenate([self._actions, np.zeros_like(self._actions)], axis=1)

    def _check_replay(self, state: Mapping[str, NDArray[np.generic]], replay: Callable[[], None]) -> None:
        """Raise RowFailure where a row is not as in ``state``; a second ``replay`` tells what is to blame."""
        arrays = self._rows.arrays
        observations, returns = arrays.observation.copy(), arrays.reward.copy()
        for row in range(self.n):
            if self._is_at(row, state["observations"], state["returns"]):
                continue
            replay()
            length = self._lengths[row]
            if not self._is_at(row, observations, returns):
                reason = (
                    f"its episodes do not follow from seed and actions alone: two replays of the {length} actions of"
                    " the running episode led to different places"
                )
            else:
                reason = (
                    f"replaying the {length} actions of the running episode led elsewhere, twice to the same place: the"
                    " environment follows something beside its seed, such as the process, a file or the time; or the"
                    " simulator's build or the kind of CPU is not the one that made them"
                )
            raise RowFailure(row, reason)

    def _is_at(self, row: int, observations: NDArray[np.generic], returns: NDArray[np.generic]) -> bool:
        arrays = self._rows.arrays
        return np.array_equal(arrays.observation[row], observations[row]) and bool(arrays.reward[row] == returns[row])

    def _failure(
        self, failure: RowFailure, actions: NDArray[np.float32] | None = None, starting: int | None = None
    ) -> EnvironmentFailure:
        """The failure of a row, in its running episode or in the episode ``starting``."""
        self._running = False
        row = failure.row
        episode = int(self._episodes[row]) if starting is None else starting
        return EnvironmentFailure(
            failure.reason,
            environment=row,
            seed=episode_seed(self._seeds[row], episode),
            episode=episode,
            step=int(self._lengths[row]) if starting is None else 0,
            action=None if actions is None else actions[row].tolist(),
        )
