"""Vectors of several tasks as one, whose observations name the task.

Legend: n environments, T tasks; environment i belongs to task i modulo T. Tests: tests/environments/test_multitask.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from typing_extensions import override

from composer.environments.interface import EnvironmentFailure, EnvironmentInfo, Step, VectorEnvironment
from composer.environments.multitask.task_metric import task_metric
from composer.environments.phased.view import View, viewed
from composer.environments.vector.checks import check_actions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.interface import Observations

R = TypeVar("R")
_PLAIN = View(None, 0.0, 0)


class SideBySide(VectorEnvironment):
    """The environments of T tasks, which step together."""

    def __init__(self, info: EnvironmentInfo, within: Sequence[VectorEnvironment]) -> None:
        """``info`` of all, whose last T entries of an observation name the task; ``within`` are the first tasks'."""
        self.info, self._count = info, info.tasks
        own = replace(info, observation=(info.observation[0] - info.tasks,), tasks=0)
        self._within = [viewed(each, own, [_PLAIN] * each.n) for each in within]
        self.n = sum(each.n for each in within)
        self._rows = [slice(index, None, self._count) for index in range(len(within))]
        self._names = np.eye(self._count, dtype=np.float32)[np.arange(self.n) % self._count]
        self._returns = np.zeros(self.n)

    @override
    def reset(self, episode: int | None = None) -> Observations:
        seen: Observations = self._named(self._each(lambda each, rows: each.reset(episode)))
        return seen

    @override
    def step(self, actions: NDArray[np.float32]) -> Step:
        check_actions(actions, self.n, self.info)
        parts = self._each(lambda each, rows: each.step(np.ascontiguousarray(actions[rows])))
        final, shown = (self._named([part[at] for part in parts]) for at in (1, 0))
        rest = [self._joined([part[at] for part in parts]) for at in range(2, len(Step._fields))]
        step = Step(shown, final, *rest)
        self._returns = step.episode_return
        return step

    @override
    def solved(self) -> NDArray[np.int64]:
        found: NDArray[np.int64] = self._joined([each.solved() for each in self._within])
        return found

    @override
    def scores(self) -> Mapping[str, NDArray[np.float64]]:
        """The return under the name of the own task, NaN under those of others."""
        owns = (self._names[:, index] > 0 for index in range(self._count))
        return {task_metric(index): np.where(own, self._returns, np.nan) for index, own in enumerate(owns)}

    @override
    def state(self) -> dict[str, NDArray[np.generic]]:
        found = enumerate(each.state() for each in self._within)
        return {f"{index}/{name}": value for index, state in found for name, value in state.items()}

    @override
    def load_state(self, state: Mapping[str, NDArray[np.generic]]) -> Observations:
        if missing := [index for index in range(len(self._within)) if f"{index}/seeds" not in state]:
            raise ValueError(f"this state is that of fewer tasks: it has no task {missing[0] + 1}")
        parts = [
            {name.removeprefix(f"{index}/"): value for name, value in state.items() if name.startswith(f"{index}/")}
            for index in range(len(self._within))
        ]
        seen: Observations = self._named(self._each(lambda each, rows: each.load_state(parts[rows.start])))
        return seen

    @override
    def render(self, index: int) -> NDArray[np.uint8]:
        return self._within[index % self._count].render(index // self._count)

    @override
    def close(self) -> None:
        for each in self._within:
            each.close()

    def _each(self, call: Callable[[VectorEnvironment, slice], R]) -> list[R]:
        """``call`` with the environments of each task and their rows, in order."""
        found = []
        for each, rows in zip(self._within, self._rows, strict=True):
            with self._counted_in_all(rows.start):
                found.append(call(each, rows))
        return found

    @contextmanager
    def _counted_in_all(self, task: int) -> Iterator[None]:
        """Failures name the environment among all."""
        try:
            yield
        except EnvironmentFailure as failure:
            number = task + self._count * failure.environment
            where = number, failure.seed, failure.episode, failure.step, failure.action
            raise EnvironmentFailure(failure.reason, *where) from failure

    def _joined(self, parts: Sequence[Any]) -> Any:
        whole = np.zeros((self.n, *parts[0].shape[1:]), parts[0].dtype)
        for part, rows in zip(parts, self._rows, strict=True):
            whole[rows] = part
        return whole

    def _named(self, parts: Sequence[Any]) -> Any:
        """Observations [n, d + T], in memory of their own."""
        return np.concatenate([self._joined(parts), self._names], 1)
