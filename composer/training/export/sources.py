"""What an exported policy speaks in each kind of environment, and real observations to hold it to.

``source_of`` dispatches by type, once, as ``composer.training.collect.build`` does.
Tests: tests/training/export/test_export.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from composer.environments.base import Simulator
from composer.environments.interface import VectorEnvironment
from composer.environments.labelled.phases import Phases
from composer.environments.labelled.task_sequence import TaskStream
from composer.environments.native import NativeAction, NativePart, NativeSpaces
from composer.environments.phased.simulator_phases import SimulatorPhases
from composer.spec.random_streams import derive
from composer.training.collect.phase_batches import loaded, permutation_of, standardizer_of
from composer.training.collect.task_stream import TaskBatches
from composer.training.export.codecs import Decoder, Encoder, Observation

if TYPE_CHECKING:
    from composer.environments.base import Environment
    from composer.training.collect.pictures import Standardizer

Act = Callable[[Tensor], Tensor]
"""Actions ``[n, a]`` in [-1, 1] for what the agent sees ``[n, ...]``."""


@dataclass(frozen=True)
class Recorded:
    """Observations as the environment gives them, and as the agent sees them, of the same moments."""

    observation: Observation
    seen: Tensor
    origin: str
    """Where they come from, for people."""


class Source(ABC):
    """One environment, as an exported policy of a seed meets it."""

    answers: ClassVar[str]
    """The name of the output."""
    spaces: NativeSpaces
    encode: nn.Module
    decode: nn.Module

    @abstractmethod
    def record(self, act: Act, count: int) -> Recorded:
        """``count`` observations of evaluations under the policy ``act``, or as many as there are.

        Raises EnvironmentFailure, UnusableEnvironment and DataUnusable.
        """


class Episodes(Source):
    """A simulator: observations of evaluation episodes."""

    answers = "action"

    def __init__(self, environment: Simulator, seed: int, number: int) -> None:
        """``number`` is that of the evaluation whose episodes come first."""
        environment.discover()
        self._environment, self._seed, self._number = environment.for_evaluation(), seed, number
        self.spaces = environment.seen_spaces(environment.without_skills().native_spaces(), environment.info)
        self.encode = Encoder(self.spaces, environment.info.observation)
        self.decode = Decoder(self.spaces.action)

    def _make(self, streams: Sequence[int]) -> VectorEnvironment:
        return self._environment.make(streams, "evaluation")

    @override
    def record(self, act: Act, count: int) -> Recorded:
        """One episode after the other, of the seeds of the run's own evaluations."""
        environments = self._make([derive(self._seed, "episode", 0)])
        try:
            seen = [environments.reset(episode=self._number).copy()]
            while len(seen) < count:
                action = act(torch.from_numpy(seen[-1]))
                seen.append(environments.step(action.numpy()).observation.copy())
        finally:
            environments.close()
        rows = np.concatenate(seen)
        return Recorded(_natively(self.spaces, rows), torch.from_numpy(rows), "evaluation episodes")


class PhaseEpisodes(Episodes):
    """A simulator in phases: observations as the phase that was trained on last shows them to a seed."""

    def __init__(self, environment: SimulatorPhases, seed: int, number: int) -> None:
        super().__init__(environment, seed, number)
        self._declared, self._phase = environment, environment.phase_of(max(number - 1, 0))
        shown = f"observation: as phase {self._phase + 1} shows it, in the order and with the shift of the seed"
        self.spaces = replace(self.spaces, notes=(*self.spaces.notes, shown))

    @override
    def _make(self, streams: Sequence[int]) -> VectorEnvironment:
        return self._declared.make_phase(self._phase, [self._seed], streams, "evaluation", is_evaluation=True)


class TaskInputs(Source):
    """Labelled data in tasks: the inputs of the present task, as the network reads them."""

    answers = "output"

    def __init__(self, environment: TaskStream, seed: int, number: int) -> None:
        self._environment, self._seed, self._task = environment, seed, environment.task_of(max(number - 1, 0))
        self._batches = TaskBatches(environment, [seed], 1, "cpu")
        self._batches.enter(self._task)
        self.spaces = _of_data(self._batches.inputs[0], environment.info.action_size)
        self.encode, self.decode = nn.Identity(), nn.Identity()

    @override
    def record(self, act: Act, count: int) -> Recorded:
        rows = self._batches.inputs[0, :count]
        return Recorded(rows, rows, f"inputs of task {self._task}")


class HeldOutInputs(Source):
    """Labelled data in phases: pictures as they are stored; the policy standardises them and knows their order."""

    answers = "output"

    def __init__(self, environment: Phases, seed: int, number: int, batch: int) -> None:
        self._environment, self._seed = environment, seed
        phase = environment.plan[environment.phase_of(max(number - 1, 0), batch)]
        inputs, _ = loaded(environment.data, [seed], "cpu")
        standardizer = standardizer_of(environment, inputs)
        order = permutation_of(phase, environment.stream(seed), inputs[0, 0].numel(), "cpu")
        self.spaces = _of_data(inputs[0], environment.info.action_size)
        self.encode, self.decode = Standardize(standardizer, order), nn.Identity()

    @override
    def record(self, act: Act, count: int) -> Recorded:
        inputs, _ = loaded(self._environment.data, [self._seed], "cpu", held_out=True)
        rows = inputs[0, :count]
        with torch.no_grad():
            return Recorded(rows, self.encode(rows), "held-out samples")


class Standardize(nn.Module):
    """Pictures as a network reads them, their entries in the order of the phase."""

    def __init__(self, standardizer: Standardizer, order: Tensor | None) -> None:
        super().__init__()
        self._standardizer = standardizer
        self.register_buffer("order", order)

    @override
    def forward(self, pictures: Tensor) -> Tensor:
        """``[n, ...]`` to ``[n, ...]``."""
        seen = self._standardizer(pictures[None])[0]
        order = self.get_buffer("order") if self._buffers["order"] is not None else None
        return seen if order is None else seen.flatten(1)[:, order].view(seen.shape)


@singledispatch
def source_of(environment: Environment, seed: int, number: int, batch: int) -> Source:
    """The source of an environment for a seed of the run, at interaction or evaluation ``number``.

    Raises TypeError where none is registered for its class.
    """
    raise TypeError(f"no policy can be exported of environments of the kind {environment.kind!r}")


@source_of.register(Simulator)
def _(environment: Simulator, seed: int, number: int, batch: int) -> Source:
    return Episodes(environment, seed, number)


@source_of.register(SimulatorPhases)
def _(environment: SimulatorPhases, seed: int, number: int, batch: int) -> Source:
    return PhaseEpisodes(environment, seed, number)


@source_of.register(TaskStream)
def _(environment: TaskStream, seed: int, number: int, batch: int) -> Source:
    return TaskInputs(environment, seed, number)


@source_of.register(Phases)
def _(environment: Phases, seed: int, number: int, batch: int) -> Source:
    return HeldOutInputs(environment, seed, number, batch)


def _of_data(inputs: Tensor, answers: int) -> NativeSpaces:
    shape: Sequence[int] = inputs.shape[1:]
    name = str(inputs.dtype).removeprefix("torch.")
    return NativeSpaces((NativePart("observation", tuple(shape), name),), NativeAction((answers,), "float32"))


def _natively(spaces: NativeSpaces, rows: np.ndarray) -> Observation:
    arrays = {name: torch.from_numpy(each) for name, each in spaces.natively(rows).items()}
    return arrays if len(arrays) > 1 else next(iter(arrays.values()))
