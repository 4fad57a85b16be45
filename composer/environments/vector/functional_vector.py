"""The vector environment of a simulator of pure functions: seeds of episodes, automatic reset, checks, exact state.

As everywhere, episode k has the seed that follows from the environment's seed and k. The state is that of the simulator
itself, as bytes: nothing has to be replayed (docs/decisions/0036-functional-environments.md).
Legend: n environments, a entries of an action. Tests: tests/environments/test_functional_vector.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import override

from composer.environments.interface import (
    EnvironmentFailure,
    EnvironmentInfo,
    RenderingUnavailable,
    Step,
    VectorEnvironment,
)
from composer.environments.vector.checks import check_actions, check_finite
from composer.environments.vector.rows import RowFailure
from composer.environments.vector.vector import episode_seed
from composer.spec.calls import in_words, of_others

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.interface import Observations
    from composer.environments.vector.batch_functions import BatchFunctions, Moved, Present


class FunctionalVector(VectorEnvironment):
    """Environments whose states are values. After a failed step ``state`` is that before it, and they go on from there.

    Results of a step are new arrays each time: they stay valid.
    """

    def __init__(
        self,
        info: EnvironmentInfo,
        seeds: Sequence[int],
        functions: BatchFunctions,
        group: int = 1,
        fresh_starts: int = 0,
        parts_of_return: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """One environment for each of ``seeds``; ValueError where two are equal.

        Where more than ``fresh_starts`` (0: no limit) of the ``group`` environments of a run's seed end in one step,
        the later ones begin where one of the others does, and go on by random numbers of their own.
        ``parts_of_return`` are scores that are the return times a number.
        """
        if not seeds or len(set(seeds)) != len(seeds):
            raise ValueError(f"environments need distinct seeds, one each; got {list(seeds)}")
        self.info, self.n = info, len(seeds)
        self._seeds, self._functions, self._group, self._fresh = tuple(seeds), functions, group, fresh_starts
        self._episodes = np.full(self.n, -1, np.int64)
        self._running = np.zeros(self.n, np.int64)
        """Seeds of the running episodes."""
        self._decisions, self._env_steps = np.zeros(self.n, np.int64), np.zeros(self.n, np.int64)
        self._returns = np.zeros(self.n, np.float64)
        self._present: Present | None = None
        self._parts = dict(parts_of_return)
        names = (*functions.score_names(), *self._parts)
        self._scores: Mapping[str, NDArray[np.float64]] = {name: np.zeros(self.n) for name in names}

    @override
    def reset(self, episode: int | None = None) -> Observations:
        numbers = self._episodes + 1 if episode is None else np.full(self.n, episode, np.int64)
        running = self._seeds_of(np.arange(self.n), numbers)
        with self._blamed("reset"):
            present = self._functions.start(running)
            check_finite(present.observation)
        self._episodes, self._running, self._present = numbers, running, present
        self._decisions[:] = self._env_steps[:] = 0
        self._returns[:] = 0.0
        return present.observation

    @override
    def step(self, actions: NDArray[np.float32]) -> Step:
        if self._present is None:
            raise RuntimeError("reset the environments first")
        check_actions(actions, self.n, self.info)
        with self._blamed("step", actions):
            moved = self._functions.step(self._present.state, self._running, self._decisions, actions)
            check_finite(moved.present.observation, moved.reward)
        ended = moved.terminated | moved.truncated
        where = ended.nonzero()[0]
        numbers, present = self._episodes + ended, moved.present
        if where.size:
            with self._blamed("reset"):
                present = self._functions.restart(present, where, self._starts(where, numbers))
                check_finite(present.observation)
        return self._commit(moved, present, where, numbers)

    def _commit(self, moved: Moved, present: Present, where: NDArray[np.int64], numbers: NDArray[np.int64]) -> Step:
        """Take over a step that succeeded; episodes begin in the rows ``where``."""
        self._returns, self._env_steps = self._returns + moved.reward, self._env_steps + moved.steps
        told = self._returns, self._env_steps
        self._scores = {**moved.scores, **{name: factor * self._returns for name, factor in self._parts.items()}}
        self._decisions += 1
        self._present, self._episodes = present, numbers
        if where.size:
            self._returns, self._env_steps = self._returns.copy(), self._env_steps.copy()
            self._returns[where] = self._env_steps[where] = self._decisions[where] = 0
            self._running[where] = self._seeds_of(where, numbers)
        final = moved.present.observation
        return Step(present.observation, final, moved.reward, moved.terminated, moved.truncated, *told)

    @override
    def scores(self) -> Mapping[str, NDArray[np.float64]]:
        return self._scores

    @override
    def state(self) -> dict[str, NDArray[np.generic]]:
        """Arrays by name, ``[n, ...]``; ``simulator`` holds the bytes of the simulator's own state."""
        assert self._present is not None  # A run saves between interactions.
        return {
            "seeds": np.array(self._seeds, np.int64),
            "episodes": self._episodes.copy(),
            "decisions": self._decisions.copy(),
            "env_steps": self._env_steps.copy(),
            "returns": self._returns.copy(),
            "simulator": self._functions.packed(self._present.state),
        }

    @override
    def load_state(self, state: Mapping[str, NDArray[np.generic]]) -> Observations:
        """Put the state back; nothing is replayed."""
        seeds = [int(seed) for seed in state["seeds"]]
        if seeds != list(self._seeds):
            raise ValueError(f"this state is that of environments with seeds {seeds}, not {list(self._seeds)}")
        numbers = np.array(state["episodes"], np.int64)
        with self._blamed("loading its state"):
            present = self._functions.unpacked(np.asarray(state["simulator"], np.uint8))
        self._episodes, self._running = numbers, self._seeds_of(np.arange(self.n), numbers)
        self._decisions, self._env_steps = (np.array(state[name], np.int64) for name in ("decisions", "env_steps"))
        self._returns, self._present = np.array(state["returns"], np.float64), present
        return present.observation

    @override
    def render(self, index: int) -> NDArray[np.uint8]:
        assert self._present is not None
        with self._blamed("render"):
            return self._functions.render(self._present.state, index)

    @override
    def close(self) -> None:
        self._present = None

    def _seeds_of(self, rows: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Seeds of the episodes in ``numbers [n]`` of ``rows``."""
        return np.array([episode_seed(self._seeds[row], int(numbers[row])) for row in rows.tolist()], np.int64)

    def _starts(self, where: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each ended row the seed of the episode whose beginning it takes."""
        starts = self._seeds_of(where, numbers)
        if self._fresh:
            for first in range(0, self.n, self._group):
                among = ((where >= first) & (where < first + self._group)).nonzero()[0]
                starts[among] = starts[among[np.arange(among.size) % self._fresh]] if among.size else 0
        return starts

    @contextmanager
    def _blamed(self, call: str, actions: NDArray[np.float32] | None = None) -> Iterator[None]:
        """Whatever the simulator raises is the failure of one environment; of the first, where it does not say."""
        try:
            with of_others():
                yield
        except (RenderingUnavailable, EnvironmentFailure):
            raise
        except RowFailure as failure:
            raise self._failure(failure.row, failure.reason, actions) from failure
        except Exception as error:
            raise self._failure(0, f"{call} raised {in_words(error)}", actions) from error

    def _failure(self, row: int, reason: str, actions: NDArray[np.float32] | None) -> EnvironmentFailure:
        return EnvironmentFailure(
            reason,
            environment=row,
            seed=episode_seed(self._seeds[row], max(int(self._episodes[row]), 0)),
            episode=int(self._episodes[row]),
            step=int(self._decisions[row]),
            action=None if actions is None else actions[row].tolist(),
        )
