"""This project's environments as candidates. Tests: tests/benchmarks/test_speed_candidates.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.speed.workloads.environments import COPIES, at_once
from composer.environments.interface import SingleEnvironment, VectorEnvironment
from composer.environments.suites.atari import Atari
from composer.environments.suites.dm_control import DmControl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.environments import Control, Frames

DRAWN = 1_000
"""Number of random actions, which repeat."""


class StepSubject:
    """Takes one action after another."""

    def __init__(self, step: Callable[[Any], object], actions: NDArray[Any], units: int) -> None:
        """``actions`` has time on its first axis; a step of ``step`` counts as ``units``."""
        self.units = units
        self._step, self._actions = step, cycle(list(actions))

    def call(self) -> None:
        """One step."""
        self._step(next(self._actions))

    def settle(self) -> None:
        """Nothing is pending."""

    def parameters(self) -> Mapping[str, int]:
        """No parameters: there is no agent."""
        return {}

    def flops(self) -> int:
        """Not counted."""
        return 0


def drawn(*shape: int) -> NDArray[np.float32]:
    """Uniform actions in [-1, 1]."""
    return np.random.default_rng(0).uniform(-1, 1, (DRAWN, *shape)).astype(np.float32)


def chosen(copies: int, choices: int) -> NDArray[np.int64]:
    """Random choices, ``[time, copies]``."""
    return np.random.default_rng(0).integers(choices, size=(DRAWN, copies))


def adapter(workload: Control, candidate: Candidate) -> StepSubject:
    """One environment, observed after every step."""
    declared = DmControl(task=workload.task, action_repeat=1)
    single: SingleEnvironment = declared.single()
    single.reset(0)

    def step(action: NDArray[np.float32]) -> None:
        _, terminated, truncated = single.step(action)
        single.observe()
        if terminated or truncated:
            single.reset(0)

    return StepSubject(step, drawn(declared.info.action_size), 1)


def vector(workload: Control, candidate: Candidate) -> StepSubject:
    """The vector environment of training: checks, a log, automatic reset."""
    declared = DmControl(task=workload.task, action_repeat=1)
    return StepSubject(_begun(declared.make([0], "training")).step, drawn(1, declared.info.action_size), 1)


def vector_of_copies(workload: Control, candidate: Candidate) -> StepSubject:
    """Several environments in this process: together where MuJoCo can, otherwise one after the other."""
    return _copies(workload, workers=0)


def vector_in_workers(workload: Control, candidate: Candidate) -> StepSubject:
    """Several environments, one process per core."""
    return _copies(workload, workers=at_once())


def games(workload: Frames, candidate: Candidate) -> StepSubject:
    """Games under the protocol machado2018, one thread."""
    declared = Atari(game=workload.game, copies=workload.copies)
    choices = declared.info.action_size
    actions = np.eye(choices, dtype=np.float32)[chosen(workload.copies, choices)]
    return StepSubject(_begun(declared.make(declared.copy_seeds(0), "training")).step, actions, workload.copies)


def _copies(workload: Control, workers: int) -> StepSubject:
    declared = DmControl(task=workload.task, action_repeat=1, workers=workers)
    environments = _begun(declared.make(range(COPIES), "training"))
    return StepSubject(environments.step, drawn(COPIES, declared.info.action_size), COPIES)


def _begun(environments: VectorEnvironment) -> VectorEnvironment:
    environments.reset()
    return environments
