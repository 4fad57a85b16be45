"""The diagnostics of a run: when they are due, how they are read, and their part of the run's state.

Between readings they cost nothing. A reading is eager, changes nothing of the learner and draws from no random stream
of training; its values go to the host in one transfer. Legend: S seeds. Tests: tests/training/test_recorder.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from composer.diagnostics.base import Diagnostic, Diagnostics, Memory
from composer.training.collect.base import without_prefix
from composer.training.diagnose.probe import Probe
from composer.training.diagnose.view import LearnerView
from composer.training.runs.state_files import CheckpointDamaged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.algorithms.base import AgentDeclaration
    from composer.blueprint.forecast.clock import Clock
    from composer.training.collect.base import TransitionSource
    from composer.training.learner import Learner

Row = dict[str, float]
"""Metrics of one seed by name."""


class Recorder:
    """The measures of a run, with the probe batch and their memories."""

    def __init__(self, declared: Diagnostics, agent: AgentDeclaration, device: str) -> None:
        """Nothing is drawn or allocated before the first reading."""
        self._agent, self._device = agent, device
        self._measures = [_Kept(measure, declared.every_of(measure), Memory()) for measure in declared.measures]
        self._probe = Probe(declared.probe, declared.batch)
        self._is_restored = False

    @property
    def has_measures(self) -> bool:
        """Whether anything is measured at all."""
        return bool(self._measures)

    def due(self, clock: Clock) -> bool:
        """Whether a measure is due after the last interaction."""
        return any(clock.due(each.every) for each in self._measures)

    def read(self, learner: Learner, data: TransitionSource, clock: Clock, last: bool = False) -> list[Row]:
        """One row per seed: the measures due after the last interaction; all of them after the ``last`` of the run."""
        return self._read([each for each in self._measures if last or clock.due(each.every)], learner, data)

    def read_all(self, learner: Learner, data: TransitionSource) -> list[Row]:
        """One row per seed: every measure."""
        return self._read(self._measures, learner, data)

    def tensors(self) -> dict[str, Tensor]:
        """The state by name: the probe batch and the memories of measures."""
        named = {f"probe/{name}": value for name, value in self._probe.tensors().items()}
        for index, each in enumerate(self._measures):
            named |= {f"memory/{index}/{name}": value for name, value in each.memory.items()}
        return named

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Restore what ``tensors`` returned."""
        self._is_restored = True
        self._probe.load(without_prefix("probe/", saved), self._device)
        for index, each in enumerate(self._measures):
            each.memory.clear()
            each.memory.update(
                (name, value.to(self._device)) for name, value in without_prefix(f"memory/{index}/", saved).items()
            )

    def _read(self, due: Sequence[_Kept], learner: Learner, data: TransitionSource) -> list[Row]:
        try:
            found = self._measure(due, learner, data) if due else {}
        except (LookupError, RuntimeError, TypeError, ValueError) as error:
            if not self._is_restored or isinstance(error, torch.OutOfMemoryError):
                raise
            raise CheckpointDamaged(f"the diagnostics in the checkpoint do not fit this run: {error}") from error
        if not found:
            return [{} for _ in learner.seeds]
        table = torch.stack(list(found.values()), 1).tolist()  # The one transfer to the host.
        return [dict(zip(found, row, strict=True)) for row in table]

    def _measure(self, due: Sequence[_Kept], learner: Learner, data: TransitionSource) -> dict[str, Tensor]:
        """Values ``[S]`` of the measures by the name of their metric."""
        found: dict[str, Tensor] = {}
        transitions = self._probe.transitions(data, learner.seeds, learner.n_step, learner.discount)
        view = LearnerView(self._agent, learner, transitions)
        for each in due:
            values, metric = each.measure.read(view, each.memory), each.measure.metric
            found |= {metric(name).name: value.detach().double() for name, value in values.items()}
        return found


class _Kept(NamedTuple):
    """A measure, its interval in environment steps, and its memory."""

    measure: Diagnostic
    every: int
    memory: Memory
