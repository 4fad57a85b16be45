"""Simulators in phases: environments, replay and statistics when one phase follows another; evaluations by phase.

A phase ends with its last interaction, whose step truncates every episode. The next one begins with the next
interaction: in between, when a run may be saved or evaluated, everything is as the ended phase left it.
Legend: S seeds, E environments of a seed. Tests: tests/training/test_simulator_phases.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from composer.environments.interface import Step, VectorEnvironment
from composer.environments.phased.simulator_phases import SimulatorPhases, earlier_metric
from composer.spec.random_streams import derive
from composer.training.collect.simulation import SimulatorCollector
from composer.training.evaluation import EpisodeEvaluator, Evaluator

if TYPE_CHECKING:
    from torch import Tensor

    from composer.training.collect.assessment import Assessment
    from composer.training.collect.base import TransitionMemory
    from composer.training.evaluation import Watch
    from composer.training.learner import Learner
    from composer.training.runs.checkpoint import Checkpoints, Snapshot

PHASE = "phase"
"""The key of a snapshot's values that holds the phase of the running episodes, from 0."""


@dataclass(frozen=True)
class PhaseEnvironments:
    """Makes the environments of each phase."""

    declared: SimulatorPhases
    seeds: tuple[int, ...]

    def training(self, number: int) -> VectorEnvironment:
        """Those that a phase trains on; in each phase from streams of their own."""
        streams = [stream for seed in self.seeds for stream in self.declared.copy_seeds(seed)]
        return self.declared.make_phase(number, self.seeds, streams, f"training/{number}" if number else "training")

    def evaluation(self, number: int, episodes: int) -> VectorEnvironment:
        """Those that it is evaluated on, ``episodes`` per seed."""
        streams = [derive(seed, "episode", episode) for seed in self.seeds for episode in range(episodes)]
        return self.declared.make_phase(number, self.seeds, streams, "evaluation", is_evaluation=True)


class PhasedCollector(SimulatorCollector):
    """Collects from the environments of the present phase."""

    def __init__(
        self,
        learner: Learner,
        environments: PhaseEnvironments,
        memory: TransitionMemory,
        warmup: int,
        overlap: bool = False,
        assessment: Assessment | None = None,
    ) -> None:
        """In the first phase; ``learner`` is as it was made, and has observed nothing."""
        super().__init__(learner, environments.training(0), memory, warmup, overlap, assessment)
        self._make, self._phase, self._ends_phase = environments, 0, False
        self._fresh = {name: value.clone() for name, value in self._statistics().items()}

    @override
    def interact(self, interactions: int) -> None:
        declared = self._make.declared
        number = declared.phase_of(interactions)
        if number != self._phase:
            self._enter(number)
        self._ends_phase = declared.phase_of(interactions + 1) != number
        super().interact(interactions)

    def _enter(self, number: int) -> None:
        """Begin a phase. Environments come first: a failure of theirs leaves the phase before as it was."""
        made = self._make.training(number)
        self.observation = made.reset()
        self.environments.close()
        self.environments, self._phase, self._chosen = made, number, None
        if self._make.declared.clears_replay:
            self.clear_memory()
        if self._make.declared.statistics == "reset":
            for name, value in self._statistics().items():
                value.copy_(self._fresh[name])
        self.switched(torch.ones(len(self._learner.seeds), dtype=torch.bool), number)

    @override
    def _as_stored(self, step: Step) -> Step:
        return step._replace(truncated=~step.terminated) if self._ends_phase else step

    @override
    def metrics(self) -> list[dict[str, float]]:
        return [row | {"training/phase": float(self._phase + 1)} for row in super().metrics()]

    @override
    def snapshot(self) -> Snapshot:
        found = super().snapshot()
        return replace(found, values={**found.values, PHASE: self._phase})

    @override
    def restore(self, snapshot: Snapshot, checkpoints: Checkpoints) -> None:
        """Continue in the phase of the running episodes: at a boundary, that is the one that has ended."""
        number = snapshot.values[PHASE]
        if number != self._phase:
            self.environments.close()
            self.environments, self._phase = self._make.training(number), number
        self._learner.interactions.fill_(max(snapshot.values["interactions"] - 1, 0))
        super().restore(snapshot, checkpoints)

    def _statistics(self) -> dict[str, Tensor]:
        learner = self._learner
        parts = {"observation": learner.statistics, "reward": learner.rewards}
        return {f"{name}/{key}": v for name, each in parts.items() if each for key, v in each.tensors().items()}


class PhaseEvaluator(Evaluator):
    """Plays the task of the phase that the agent was trained on last."""

    can_record_video = True

    def __init__(self, environments: PhaseEnvironments, episodes: int) -> None:
        """``episodes`` per seed. Raises EnvironmentFailure."""
        self._make, self._episodes, self.metric = environments, episodes, environments.declared.metric
        self._number, self._playing = 0, self._player(0)

    @override
    def returns(self, learner: Learner, number: int, watch: Watch | None = None) -> NDArray[np.float64]:
        phase = self._phase_of(learner)
        if phase != self._number:
            self._playing.close()
            self._number, self._playing = phase, self._player(phase)
        return self._playing.returns(learner, number, watch)

    @override
    def more(self, learner: Learner, number: int) -> list[dict[str, float]]:
        """Mean returns on the other tasks of the cycle that have begun, each in the last phase that had it."""
        declared, now = self._make.declared, self._phase_of(learner)
        rows: list[dict[str, float]] = [{} for _ in learner.seeds]
        if not declared.evaluate_earlier:
            return rows
        for planned in declared.plan[max(now - declared.stages_per_cycle + 1, 0) : now]:
            player = self._player(planned.number)
            try:
                means = player.returns(learner, number).mean(1)
            finally:
                player.close()
            for row, mean in zip(rows, means, strict=True):
                row[earlier_metric(planned.declared)] = float(mean)
        return rows

    @override
    def close(self) -> None:
        self._playing.close()

    def _phase_of(self, learner: Learner) -> int:
        return self._make.declared.phase_of(int(learner.interactions[0]))

    def _player(self, number: int) -> EpisodeEvaluator:
        return EpisodeEvaluator(
            self._make.evaluation(number, self._episodes), self._make.seeds, self._episodes, self.metric
        )
