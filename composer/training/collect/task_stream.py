"""Training and evaluating on a sequence of tasks, whose samples are read in epochs, each in an order of its own.

The number of a batch decides its task and its samples, so there is no state to save.
Legend: S seeds, B batch, N samples. Tests: tests/environments/test_tasks.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from composer.replay.transitions import Transitions
from composer.spec.random_streams import derive
from composer.training.collect.labelled import LabelledCollector, as_transitions, r_squared
from composer.training.evaluation import Evaluator
from composer.training.runs.checkpoint import Checkpoints, Snapshot

if TYPE_CHECKING:
    from composer.environments.labelled.task_sequence import TaskStream
    from composer.training.evaluation import Watch
    from composer.training.learner import Learner


class TaskBatches:
    """The tasks of S seeds; one task is in memory at a time."""

    def __init__(self, environment: TaskStream, seeds: Sequence[int], batch: int, device: str) -> None:
        """Loads the data of every seed."""
        self._environment, self.size = environment, environment.data.info.size
        self._batch = min(batch, self.size)
        self._seeds = tuple(environment.stream(seed) for seed in seeds)
        self._data = [environment.data.load(seed) for seed in seeds]
        self._device = device
        self.batches_per_epoch = environment.epoch_interactions(batch)
        self._number = self._epoch = -1
        self.inputs = self.labels = self._order = torch.zeros(0)
        """All samples of the present task: inputs ``[S, N, ...]``, classes or numbers ``[S, N]``."""

    def at(self, interactions: int) -> Transitions:
        """Batch number ``interactions``, from 0."""
        self.enter(self._environment.task_of(interactions))
        epoch = interactions // self.batches_per_epoch
        if epoch != self._epoch:
            self._epoch, self._order = epoch, torch.stack([self._shuffled(seed, epoch) for seed in self._seeds])
        start = interactions % self.batches_per_epoch * self._batch
        return self._select(self._order[:, start : start + self._batch])

    def loaded(self) -> Iterator[Tensor]:
        """Inputs and labels, of each seed where seeds have data of their own."""
        for each in self._data if self._environment.data.varies else self._data[:1]:
            yield torch.from_numpy(each.inputs)
            yield torch.from_numpy(each.labels)

    def enter(self, number: int) -> None:
        """Bring task ``number`` into memory."""
        if number != self._number:
            samples = [
                self._environment.samples_of(data, seed, number)
                for data, seed in zip(self._data, self._seeds, strict=True)
            ]
            self._number = number
            self.inputs = torch.stack([torch.from_numpy(each.inputs) for each in samples]).to(self._device)
            self.labels = torch.from_numpy(np.stack([each.labels for each in samples])).to(self._device)

    def sample(self, batch: int, n_step: int, discount: Tensor, generators: Sequence[torch.Generator]) -> Transitions:
        """Draw ``batch`` samples of the present task per seed, with replacement."""
        indices = [torch.randint(self.size, (batch,), generator=g, device=g.device) for g in generators]
        return self._select(torch.stack(indices).to(self._device))

    def newest(self, batch: int, n_step: int, discount: Tensor) -> Transitions:
        """The first ``batch`` samples of the present task."""
        indices = torch.arange(min(batch, self.size), device=self._device)
        return self._select(indices.expand(len(self._seeds), -1))

    def _shuffled(self, seed: int, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
        return torch.randperm(self.size, generator=generator).to(self._device)

    def _select(self, indices: Tensor) -> Transitions:
        """The samples at ``indices [S, B]``."""
        seeds = torch.arange(len(self._seeds), device=self._device)[:, None]
        classes = self._environment.data.info.classes
        return as_transitions(self.inputs[seeds, indices], self.labels[seeds, indices], classes)


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


class TaskEvaluator(Evaluator):
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
