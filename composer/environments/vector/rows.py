"""Environments as rows of arrays: stepping, action repeat and replay, without seeds, episodes or logs.

Legend: n environments, d entries of an observation, a entries of an action.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from typing_extensions import override

from composer.environments.interface import InvalidResult, RenderingUnavailable
from composer.environments.pictures import fitted
from composer.spec.calls import in_words, is_users

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.interface import (
        EnvironmentInfo,
        LocatedEnvironment,
        SingleEnvironment,
        SolvableEnvironment,
    )

Resets = Sequence[tuple[int, int]]
"""Pairs (row, seed): episodes to start."""


class RowFailure(Exception):
    """The environment in one row failed. The vector environment adds its seed and episode."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(row, reason)  # both, because it is pickled between processes
        self.row = row
        self.reason = reason


class RowArrays:
    """Actions and results of n environments in one buffer, which processes may share."""

    def __init__(self, info: EnvironmentInfo, n: int, buffer: memoryview) -> None:
        self._buffer = buffer
        self._offset = 0
        self.reward = self._take((n,), np.float64)
        self.steps = self._take((n,), np.int64)
        self.solved = self._take((n, 2 if info.tells_success else 0), np.int64)
        """Environment steps and decisions after which the task was solved."""
        self.place = self._take((n, info.place_size), np.float64)
        """Coordinates of the present states."""
        self.current = self._take((n,), np.int64)
        """At the first row of each worker: the row that it is working on."""
        self.actions = self._take((n, info.action_size), np.float32)
        self.observation = self._take((n, *info.observation), np.uint8 if info.pictures else np.float32)
        self.picture = self._take((n, info.picture_side, info.picture_side, 3), np.uint8)
        """What a reward model reads of the present states; no entries where none is drawn."""
        self.terminated = self._take((n,), np.bool_)
        self.truncated = self._take((n,), np.bool_)
        self.continues = self._take((n,), np.bool_)
        """Whether the next episode continues an ended one without a seeded reset: a game after a lost life,
        or, of a row whose log is short, the next game."""

    @classmethod
    def private(cls, info: EnvironmentInfo, n: int) -> RowArrays:
        """Arrays that no other process sees."""
        return cls(info, n, memoryview(bytearray(cls.nbytes(info, n))))

    @staticmethod
    def nbytes(info: EnvironmentInfo, n: int) -> int:
        """Size of the buffer."""
        entry, numbers = 1 if info.pictures else 4, info.place_size + (5 if info.tells_success else 3)
        drawn = 3 * info.picture_side**2
        return n * (numbers * 8 + entry * math.prod(info.observation) + 4 * info.action_size + drawn + 3)

    def _take(self, shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
        array = np.frombuffer(self._buffer, dtype, math.prod(shape), self._offset).reshape(shape)
        self._offset += array.nbytes
        return array


class Rows(ABC):
    """n environments whose results appear in ``arrays``."""

    arrays: RowArrays

    @abstractmethod
    def reset(self, resets: Resets) -> None:
        """Start episodes; their observations appear in ``arrays``. Raises RowFailure, as all methods do."""

    @abstractmethod
    def step(self) -> None:
        """One decision of every row under ``arrays.actions``."""

    @abstractmethod
    def continue_episodes(self, rows: NDArray[np.int64]) -> None:
        """Begin the next episodes of ``rows`` from the states in which the last ones ended."""

    @abstractmethod
    def replay(self, resets: Resets, actions: Sequence[NDArray[np.float32]]) -> None:
        """Start every row and take ``actions`` (each [t, a]).

        ``reward``, ``steps`` and ``solved`` then hold sums of the episode.

        Wherever an episode continued another, ``continue_episodes`` is called again, and the sums start at 0.
        """

    @abstractmethod
    def render(self, row: int) -> NDArray[np.uint8]:
        """A picture [height, width, 3]."""

    @abstractmethod
    def close(self) -> None:
        """Free the environments; a second call does nothing."""


class LocalRows(Rows):
    """Rows ``first`` to ``last`` (exclusive), stepped one after the other in this process."""

    def __init__(
        self, make: Callable[[], SingleEnvironment], repeat: int, arrays: RowArrays, first: int, last: int
    ) -> None:
        """``make`` builds one environment; ``repeat`` is the action repeat."""
        self.arrays = arrays
        self._repeat = repeat
        self._blame = BlameCurrentRow(arrays, first)
        self._first = first
        self._singles: dict[int, SingleEnvironment] = {}
        self._shape, self._kind = arrays.observation.shape[1:], arrays.observation.dtype.kind
        self._tells_success = arrays.solved.shape[1] > 0
        with self._blame.of("building it"):
            for row in range(first, last):
                arrays.current[first] = row
                self._singles[row] = make()

    @override
    def reset(self, resets: Resets) -> None:
        with self._blame.of("reset"):
            for row, seed in resets:
                self._reset_row(row, seed)

    @override
    def step(self) -> None:
        actions = self.arrays.actions
        with self._blame.of("step"):
            for row in self._singles:
                self._step_row(row, actions[row])

    @override
    def continue_episodes(self, rows: NDArray[np.int64]) -> None:
        """Do nothing: a single environment never continues an episode."""

    @override
    def replay(self, resets: Resets, actions: Sequence[NDArray[np.float32]]) -> None:
        reward, steps, solved = self.arrays.reward, self.arrays.steps, self.arrays.solved
        with self._blame.of("step"):
            for (row, seed), taken in zip(resets, actions, strict=True):
                self._reset_row(row, seed)
                total_reward, total_steps, total_solved = 0.0, 0, np.zeros_like(solved[row])
                for action in taken:
                    self._step_row(row, action)
                    total_reward += reward[row]
                    total_steps += steps[row]
                    total_solved += solved[row]
                reward[row], steps[row], solved[row] = total_reward, total_steps, total_solved

    @override
    def render(self, row: int) -> NDArray[np.uint8]:
        self.arrays.current[self._first] = row
        with self._blame.of("render", passed=RenderingUnavailable):
            return self._singles[row].render()

    @override
    def close(self) -> None:
        failure: RowFailure | None = None
        while self._singles:
            row, single = self._singles.popitem()
            self.arrays.current[self._first] = row
            try:
                with self._blame.of("close"):
                    single.close()
            except RowFailure as error:
                failure = error
        if failure is not None:
            raise failure

    def _reset_row(self, row: int, seed: int) -> None:
        self.arrays.current[self._first] = row
        single = self._singles[row]
        single.reset(seed)
        self._observe(row, single)

    def _step_row(self, row: int, action: NDArray[np.float32]) -> None:
        arrays = self.arrays
        arrays.current[self._first] = row
        single = self._singles[row]
        total, taken, repeat = 0.0, 0, self._repeat
        terminated = truncated = is_solved = False
        solved_steps = 0
        while taken < repeat and not (terminated or truncated):
            reward, terminated, truncated = single.step(action)
            total += reward
            taken += 1
            if self._tells_success:
                is_solved = cast("SolvableEnvironment", single).solved()
                solved_steps += is_solved
        if self._tells_success:
            arrays.solved[row] = solved_steps, is_solved
        arrays.reward[row] = total
        arrays.steps[row] = taken
        arrays.terminated[row] = terminated
        arrays.truncated[row] = truncated
        self._observe(row, single)

    def _observe(self, row: int, single: SingleEnvironment) -> None:
        """Copy the observation; one of another shape would be repeated or cut without a word."""
        observed = single.observe()
        if observed.shape != self._shape or observed.dtype.kind != self._kind:
            raise InvalidResult(
                f"an observation of shape {[*observed.shape]} and type {observed.dtype}; declared are shape "
                f"{[*self._shape]} and type {self.arrays.observation.dtype}"
            )
        self.arrays.observation[row] = observed
        if self.arrays.place.size:
            self.arrays.place[row] = cast("LocatedEnvironment", single).place()
        if self.arrays.picture.size:
            self.arrays.picture[row] = fitted(single.render(), *self.arrays.picture.shape[1:3])


class BlameCurrentRow:
    """Turns whatever a simulator raises, but for the user's Ctrl-C, into the failure of the row being worked on."""

    def __init__(self, arrays: RowArrays, first: int) -> None:
        self._current = arrays.current[first : first + 1]
        self._call = ""
        self._passed: type[Exception] | tuple[()] = ()

    def of(self, call: str, passed: type[Exception] | tuple[()] = ()) -> Self:
        """Blame the method ``call``; errors of the classes ``passed`` are raised as they are."""
        self._call, self._passed = call, passed
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None or is_users(error) or isinstance(error, self._passed):
            return
        did = f"returned what it may not: {error}" if isinstance(error, InvalidResult) else f"raised {in_words(error)}"
        raise RowFailure(int(self._current[0]), f"{self._call} {did}") from error
