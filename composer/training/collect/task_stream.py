"""TaskCollector: labelled batches, one after another, task after task. Tests: tests/environments/test_tasks.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from composer.replay.transitions import Minibatch
from composer.training.collect.base import Collector
from composer.training.collect.task_batches import TaskBatches
from composer.training.runs.checkpoint import Checkpoints, Snapshot

if TYPE_CHECKING:
    from composer.environments.labelled.task_sequence import TaskStream
    from composer.training.evaluation import Watch
    from composer.training.learner import Learner


class TaskCollector(Collector):
    """Batches of the present task. It has no state: what comes next follows from the count of interactions."""

    replay: TaskBatches

    def __init__(self, environment: TaskStream, learner: Learner) -> None:
        """Loads the data."""
        self.replay = TaskBatches(environment, learner.seeds, learner.batch_size, learner.device)
        self._seeds, self._next = len(learner.seeds), 0

    def begin(self) -> None:
        """At the first batch of the first task."""
        self._next = 0

    def interact(self, interactions: int) -> None:
        """Go to the next batch."""
        self._next = interactions

    def batch(self) -> Minibatch:
        """It."""
        return Minibatch(self.replay.at(self._next))

    def epochs(self, interactions: int) -> int:
        """Whole passes over the data."""
        return interactions // self.replay.batches_per_epoch

    def metrics(self) -> list[dict[str, float]]:
        """None beside the learner's."""
        return [{} for _ in range(self._seeds)]

    def save(self, checkpoints: Checkpoints) -> None:
        """Nothing."""

    def snapshot(self) -> Snapshot:
        """Nothing."""
        return Snapshot({}, {}, ())

    def restore(self, snapshot: Snapshot, checkpoints: Checkpoints) -> None:
        """The count of interactions says all; the present task is what diagnostics look at."""
        self.replay.enter(self.replay.task_of(max(snapshot.values["interactions"] - 1, 0)))

    def close(self) -> None:
        """Nothing."""


def explained_share(said: Tensor, exact: Tensor) -> Tensor:
    """R squared over samples, ``[S, n, ...]`` to ``[S, ...]``: 1 is perfect, 0 what the mean of the targets scores.

    Their variance counts as a thousandth of their mean square at least: a task may have one target for all.
    """
    spread = torch.maximum(exact.var(1, correction=0), 1e-3 * exact.square().mean(1)).clamp_min(1e-6)
    return 1 - (said - exact).square().mean(1) / spread


class TaskEvaluator:
    """Judges a model in evaluation mode on everything that the present task holds.

    By the share of right answers; of regressions by R squared.
    """

    can_record_video = False

    def __init__(self, environment: TaskStream, learner_seeds: tuple[int, ...], batch: int, device: str) -> None:
        """Data of its own, so that an examination changes nothing."""
        self._tasks = TaskBatches(environment, learner_seeds, batch, device)
        self._regression = environment.regression
        self.metric = environment.metric
        """What ``returns`` are, as the journal calls them."""

    @torch.no_grad()
    def returns(self, learner: Learner, number: int, watch: Watch | None = None) -> NDArray[np.float64]:
        """Scores ``[S, 1]`` on the task that batch ``number`` (from 1) belonged to."""
        self._tasks.enter(self._tasks.task_of(number - 1))
        inputs, answers = self._tasks.all()
        said = learner.act(inputs, explore=False)
        if self._regression:
            explained: NDArray[np.float64] = explained_share(said.double(), answers.double()).cpu().numpy()
            return explained
        right = said.argmax(-1) == answers.argmax(-1)
        return right.double().mean(1, keepdim=True).cpu().numpy()

    def close(self) -> None:
        """Nothing."""
