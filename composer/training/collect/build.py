"""The collector, the evaluator and the stored data of each kind of environment.

``runtime_of`` dispatches by type, once. A plug-in's environment inherits the runtime of the class that it extends; an
environment that gives data in a new way registers a runtime of its own.
Tests: tests/training/test_loop.py, tests/plugin/test_environment.py.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, singledispatch
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from composer.blueprint.forecast.memory import fewest_rows
from composer.environments.base import Simulator
from composer.environments.labelled.phases import Phases
from composer.environments.labelled.task_sequence import TaskStream
from composer.environments.offline.offline import Offline
from composer.environments.phased.simulator_phases import SimulatorPhases
from composer.replay.frames import FrameRing
from composer.replay.ring import Ring
from composer.replay.storage import Storage
from composer.replay.vectors import VectorRing
from composer.training.collect.assessment import Assessment
from composer.training.collect.base import TransitionMemory, without_prefix
from composer.training.collect.data_replay import DataReplay, DataSource
from composer.training.collect.off_policy import ReplayMemory
from composer.training.collect.offline import ONLINE, OfflineCollector, OwnCollector, ScoredEvaluator
from composer.training.collect.offline_data import load_data
from composer.training.collect.on_policy import Rollout
from composer.training.collect.phase_stream import HeldOutEvaluator, PhaseCollector
from composer.training.collect.phased import PhasedCollector, PhaseEnvironments, PhaseEvaluator
from composer.training.collect.recurrent_rollout import RecurrentRollout
from composer.training.collect.simulation import RING, SimulatorCollector
from composer.training.collect.task_stream import TaskCollector, TaskEvaluator
from composer.training.evaluation import EpisodeEvaluator, Evaluator

if TYPE_CHECKING:
    from composer.algorithms.base import Algorithm
    from composer.environments.base import Environment
    from composer.environments.interface import EnvironmentInfo
    from composer.replay.sampling import Sampling
    from composer.training.collect.base import Collector, TransitionSource
    from composer.training.learner import Learner
    from composer.training.runs.checkpoint import Checkpoints, Snapshot


@dataclass(frozen=True)
class CollectorParts:
    """The settings of a collector, beside its environment and its learner."""

    algorithm: Algorithm
    sampling: Sampling
    capacity: int
    """Transitions of one seed that memory is allocated for."""
    warmup: int
    """Interactions with random actions, at the start."""
    overlap: bool
    """Whether environments step beside the updates."""
    storage: Storage
    """Where a replay is kept; a rollout is always kept where updates run."""


class EnvironmentRuntime(ABC):
    """Makes the collector and the evaluator of one environment, and reads its stored data."""

    @abstractmethod
    def collector(self, learner: Learner, parts: CollectorParts) -> Collector:
        """The collector of all seeds, which still has to begin or to be restored."""

    @abstractmethod
    def evaluator(self, seeds: tuple[int, ...], episodes: int, batch_size: int, device: str) -> Evaluator:
        """The evaluator, on environments or data of its own; ``episodes`` per seed where there are episodes."""

    @abstractmethod
    def stored(self, learner: Learner, checkpoints: Checkpoints, snapshot: Snapshot) -> TransitionSource:
        """The data that the agent of a checkpoint learned from. Starts no environment."""

    def own(self, learner: Learner, checkpoints: Checkpoints, snapshot: Snapshot) -> Ring | None:
        """The agent's own transitions that a checkpoint holds; None where it acts in no environment."""
        return None


@dataclass(frozen=True)
class SimulatorRuntime(EnvironmentRuntime):
    """Steps environments; their transitions go into a replay or a rollout."""

    environment: Simulator

    @override
    def collector(self, learner: Learner, parts: CollectorParts) -> Collector:
        """A rollout for algorithms that learn on policy, else a replay."""
        info, copies = self.environment.info, self.environment.copies_per_seed
        seeds, algorithm = len(learner.seeds), parts.algorithm
        memory: TransitionMemory
        if (plan := algorithm.rollout_plan) is not None:
            ring = make_ring(info, seeds, copies, parts.capacity, learner.device)
            made = RecurrentRollout if learner.program.memory else Rollout
            memory = made(ring, plan, copies, learner)
        else:
            ring = make_ring(info, seeds, copies, parts.capacity, learner.device, parts.storage)
            schedule = algorithm.update_schedule(info)
            ahead = schedule.future, learner, algorithm.bursts, schedule.sequence
            memory = ReplayMemory(ring, parts.sampling, *ahead)
        declared = algorithm.assessment
        assessment = None if declared is None else Assessment(declared, seeds)
        return self._collector(learner, memory, parts.warmup, parts.overlap, assessment)

    def _collector(self, learner: Learner, *parts: Any) -> Collector:
        streams = [stream for seed in learner.seeds for stream in self.environment.copy_seeds(seed)]
        return SimulatorCollector(learner, self.environment.make(streams, "training"), *parts)

    @override
    def evaluator(self, seeds: tuple[int, ...], episodes: int, batch_size: int, device: str) -> Evaluator:
        return EpisodeEvaluator.of(self.environment, seeds, episodes)

    @override
    def stored(self, learner: Learner, checkpoints: Checkpoints, snapshot: Snapshot) -> TransitionSource:
        """The replay, as large as what it holds."""
        return self.own(learner, checkpoints, snapshot)

    @override
    def own(self, learner: Learner, checkpoints: Checkpoints, snapshot: Snapshot) -> Ring:
        start, stop = snapshot.values["replay_start"], snapshot.values["replay_added"]
        copies, info = self.environment.copies_per_seed, self.environment.info
        ring = make_ring(info, len(learner.seeds), copies, stop - start, learner.device)
        for first, rows in checkpoints.rows(snapshot):
            skip = max(0, start - first)
            ring.restore(first + skip, rows[skip:])
        ring.load(without_prefix(RING, snapshot.tensors))
        return ring


@dataclass(frozen=True)
class PhasedRuntime(SimulatorRuntime):
    """Steps the environments of one phase after another."""

    environment: SimulatorPhases

    @override
    def _collector(self, learner: Learner, *parts: Any) -> Collector:
        return PhasedCollector(learner, PhaseEnvironments(self.environment, learner.seeds), *parts)

    @override
    def evaluator(self, seeds: tuple[int, ...], episodes: int, batch_size: int, device: str) -> Evaluator:
        return PhaseEvaluator(PhaseEnvironments(self.environment, seeds), episodes)


@dataclass(frozen=True)
class OfflineRuntime(SimulatorRuntime):
    """Draws from a data set, and steps environments once the agent acts."""

    environment: Offline

    @override
    def collector(self, learner: Learner, parts: CollectorParts) -> Collector:
        declared, seeds, info = self.environment, learner.seeds, self.environment.info
        loaded = load_data(declared, parts.storage)
        future = parts.algorithm.update_schedule(info).future
        room = max(parts.capacity, fewest_rows(info) * declared.copies)  # One that is never used has to exist.
        ring = make_ring(info, len(seeds), declared.copies, room, learner.device, parts.storage)
        data, own = (ReplayMemory(each, parts.sampling, future, learner) for each in (loaded.ring, ring))
        streams = [stream for seed in seeds for stream in declared.copy_seeds(seed)]

        def make_online() -> OwnCollector:
            made = OwnCollector(learner, declared.make(streams, "training"), own, 0, parts.overlap)
            made.factor, made.offset = loaded.factor, declared.rewards.offset
            return made

        return OfflineCollector(declared, learner, DataReplay(data, own, declared.online, learner), make_online)

    @override
    def evaluator(self, seeds: tuple[int, ...], episodes: int, batch_size: int, device: str) -> Evaluator:
        found = ScoredEvaluator.of(self.environment.simulator, seeds, episodes)
        found.references = self.environment.score_references
        return found

    @override
    def stored(self, learner: Learner, checkpoints: Checkpoints, snapshot: Snapshot) -> TransitionSource:
        """The data, and the own transitions."""
        ring = load_data(self.environment, Storage(learner.device)).ring
        source = DataSource(ring, self.own(learner, checkpoints, snapshot), self.environment.online)
        source.is_online = snapshot.values[ONLINE]
        return source


@dataclass(frozen=True)
class LabelledRuntime(EnvironmentRuntime):
    """Reads labelled data in batches."""

    make_collector: Callable[[Learner], Collector]
    make_evaluator: Callable[[tuple[int, ...], int, str], Evaluator]

    @override
    def collector(self, learner: Learner, parts: CollectorParts) -> Collector:
        return self.make_collector(learner)

    @override
    def evaluator(self, seeds: tuple[int, ...], episodes: int, batch_size: int, device: str) -> Evaluator:
        return self.make_evaluator(seeds, batch_size, device)

    @override
    def stored(self, learner: Learner, checkpoints: Checkpoints, snapshot: Snapshot) -> TransitionSource:
        """The data of the present task or phase."""
        collector = self.make_collector(learner)
        collector.restore(snapshot, checkpoints)
        return collector.replay


@singledispatch
def runtime_of(environment: Environment) -> EnvironmentRuntime:
    """The runtime of an environment. Raises TypeError where none is registered for its class."""
    raise TypeError(f"no runtime is registered for environments of the kind {environment.kind!r}")


runtime_of.register(Simulator, SimulatorRuntime)
runtime_of.register(SimulatorPhases, PhasedRuntime)
runtime_of.register(Offline, OfflineRuntime)


@runtime_of.register(TaskStream)
def _(environment: TaskStream) -> EnvironmentRuntime:
    return LabelledRuntime(partial(TaskCollector, environment), partial(TaskEvaluator, environment))


@runtime_of.register(Phases)
def _(environment: Phases) -> EnvironmentRuntime:
    return LabelledRuntime(partial(PhaseCollector, environment), partial(HeldOutEvaluator, environment))


def make_ring(
    info: EnvironmentInfo, seeds: int, environments: int, capacity: int, device: str, storage: Storage | None = None
) -> Ring:
    """Frames for pictures, packed rows for vectors; ``capacity`` transitions per seed.

    They are kept on the learner's ``device``, unless ``storage`` says otherwise.
    """
    where, action = storage or Storage(device), info.action_size
    if info.pictures:
        return FrameRing(seeds, environments, capacity, info.observation, info.stacked_frames, action, where)
    return VectorRing(seeds, environments, capacity, math.prod(info.observation), action, where)
