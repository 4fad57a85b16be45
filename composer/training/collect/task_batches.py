"""Tasks in memory: labelled samples of every seed, read in epochs, each in an order of its own.

Which task it is, and in which order its samples come, is a function of the count of batches alone: there is nothing to
save. A sample is told as a transition whose action is the right answer, one-hot. Legend: S seeds, B batch, K classes.
Tests: tests/environments/test_tasks.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from composer.replay.transitions import Transitions
from composer.spec.random_streams import derive

if TYPE_CHECKING:
    from composer.environments.labelled.datasets import Data, Samples


class TaskMaker(Protocol):
    """What ``TaskBatches`` asks of the declaration of a labelled environment."""

    @property
    def data(self) -> Data:
        """What samples are made from."""

    def stream(self, seed: int) -> int:
        """The seed of what is drawn for tasks and orders of a run's seed."""

    def task_of(self, interactions: int) -> int:
        """The number of the task of a batch."""

    def samples_of(self, samples: Samples, seed: int, number: int) -> Samples:
        """The samples of a task."""


class TaskBatches:
    """The tasks of S seeds, one at a time; ``at`` chooses the batch."""

    def __init__(self, make: TaskMaker, seeds: Sequence[int], batch: int, device: str) -> None:
        """Loads the data of every seed."""
        self._make, self._batch = make, min(batch, make.data.info.size)
        self._seeds = tuple(make.stream(seed) for seed in seeds)
        self._data = [make.data.load(seed) for seed in seeds]
        self._device = device
        self.size = make.data.info.size
        self.batches_per_epoch = self.size // self._batch
        self._number = self._epoch = -1
        self._inputs = self._answers = self._order = torch.zeros(0)

    def at(self, interactions: int) -> Transitions:
        """Batch number ``interactions``, from 0."""
        self.enter(self._make.task_of(interactions))
        epoch = interactions // self.batches_per_epoch
        if epoch != self._epoch:
            self._epoch, self._order = epoch, torch.stack([self._shuffled(seed, epoch) for seed in self._seeds])
        start = interactions % self.batches_per_epoch * self._batch
        return self._taken(self._order[:, start : start + self._batch])

    def enter(self, number: int) -> None:
        """Make task ``number`` the present one."""
        if number != self._number:
            samples = [self._make.samples_of(d, s, number) for d, s in zip(self._data, self._seeds, strict=True)]
            self._number = number
            self._inputs = torch.stack([torch.from_numpy(each.inputs) for each in samples]).to(self._device)
            labels = torch.from_numpy(np.stack([each.labels for each in samples]))
            self._answers = answers_to(labels, self._make.data.info.classes).to(self._device)

    def task_of(self, interactions: int) -> int:
        """The number of the task of a batch, from 0."""
        return self._make.task_of(interactions)

    def all(self) -> tuple[Tensor, Tensor]:
        """Every input ``[S, n, ...]`` and answer ``[S, n, K]`` of the present task."""
        return self._inputs, self._answers

    def sample(self, batch: int, n_step: int, discount: Tensor, generators: Sequence[torch.Generator]) -> Transitions:
        """``batch`` samples of the present task a seed, with replacement."""
        indices = [torch.randint(self.size, (batch,), generator=g, device=g.device) for g in generators]
        return self._taken(torch.stack(indices).to(self._device))

    def newest(self, batch: int, n_step: int, discount: Tensor) -> Transitions:
        """The first ``batch`` samples of the present task."""
        indices = torch.arange(min(batch, self.size), device=self._device)
        return self._taken(indices.expand(len(self._seeds), -1))

    def _shuffled(self, seed: int, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
        return torch.randperm(self.size, generator=generator).to(self._device)

    def _taken(self, indices: Tensor) -> Transitions:
        rows = torch.arange(len(self._seeds), device=self._device)[:, None]
        return answered(self._inputs[rows, indices], self._answers[rows, indices])


def answers_to(labels: Tensor, classes: int) -> Tensor:
    """Right answers ``[..., K]`` to ``labels [...]``: one-hot for classes, ``[..., 1]`` for numbers."""
    return labels[..., None] if labels.is_floating_point() else functional.one_hot(labels, classes).float()


def answered(inputs: Tensor, answers: Tensor) -> Transitions:
    """Samples ``[S, B, ...]`` as transitions whose action is the right answer ``[S, B, K]``; there are no rewards."""
    nothing = torch.zeros(answers.shape[:2], device=answers.device)
    return Transitions(inputs, answers, nothing, nothing, inputs)
