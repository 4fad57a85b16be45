"""Training and evaluating on a sequence of tasks. Tests: tests/environments/test_tasks.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from composer.training.collect.labelled import LabelledCollector, r_squared
from composer.training.collect.task_batches import TaskBatches
from composer.training.runs.checkpoint import Checkpoints, Snapshot

if TYPE_CHECKING:
    from composer.environments.labelled.task_sequence import TaskStream
    from composer.training.evaluation import Watch
    from composer.training.learner import Learner


class TaskCollector(LabelledCollector):
    """Batches of the present task."""

    replay: TaskBatches

    def __init__(self, environment: TaskStream, learner: Learner) -> None:
        """Loads the data."""
        batches = TaskBatches(environment, learner.seeds, learner.batch_size, learner.device)
        super().__init__(batches, len(learner.seeds))
        self._environment = environment

    @override
    def epochs(self, interactions: int) -> int:
        return interactions // self.replay.batches_per_epoch

    @override
    def restore(self, snapshot: Snapshot, checkpoints: Checkpoints) -> None:
        # Diagnostics read the present task before the next batch is.
        self.replay.enter(self._environment.task_of(max(snapshot.values["interactions"] - 1, 0)))


class TaskEvaluator:
    """Evaluates a model on all samples of the present task: accuracy, or R squared of a regression."""

    can_record_video = False

    def __init__(self, environment: TaskStream, seeds: tuple[int, ...], batch: int, device: str) -> None:
        """Loads data of its own, so that an evaluation changes no training batch."""
        self._environment, self.metric = environment, environment.metric
        self._tasks = TaskBatches(environment, seeds, batch, device)

    @torch.no_grad()
    def returns(self, learner: Learner, number: int, watch: Watch | None = None) -> NDArray[np.float64]:
        """Scores ``[S, 1]`` on the task of batch ``number`` (from 1)."""
        self._tasks.enter(self._environment.task_of(number - 1))
        outputs, labels = learner.act(self._tasks.inputs, explore=False), self._tasks.labels
        if self._environment.regression:
            scores: NDArray[np.float64] = r_squared(outputs.double(), labels[..., None].double()).cpu().numpy()
            return scores
        return (outputs.argmax(-1) == labels).double().mean(1, keepdim=True).cpu().numpy()

    def close(self) -> None:
        """Nothing is open."""
