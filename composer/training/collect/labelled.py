"""Which collector and which examiner labelled data get: those of tasks, or those of phases.

Tests: tests/environments/test_tasks.py, tests/environments/test_phases.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.environments.labelled.phases import Phases
from composer.environments.labelled.task_sequence import TaskStream
from composer.training.collect.phase_stream import PhasedExaminer, PhasedStreaming
from composer.training.collect.task_stream import Examiner, Streaming

if TYPE_CHECKING:
    from composer.environments.labelled.task_sequence import Labelled
    from composer.training.learner import Learner

Judge = Examiner | PhasedExaminer
"""Whatever judges a model on data."""


def streaming(environment: Labelled, learner: Learner) -> Streaming | PhasedStreaming:
    """What reads the data in batches; loads them."""
    if isinstance(environment, Phases):
        return PhasedStreaming(environment, learner)
    assert isinstance(environment, TaskStream)
    return Streaming(environment, learner)


def examiner(environment: Labelled, seeds: tuple[int, ...], batch: int, device: str) -> Judge:
    """What judges a model on data of its own."""
    if isinstance(environment, Phases):
        return PhasedExaminer(environment, seeds, batch, device)
    assert isinstance(environment, TaskStream)
    return Examiner(environment, seeds, batch, device)
