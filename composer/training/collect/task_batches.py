"""Batches of a sequence of tasks: samples of every seed in memory, read in epochs, each in an order of its own.

The number of a batch decides its task and its samples, so there is no state to save.
Legend: S seeds, B batch, N samples. Tests: tests/environments/test_tasks.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from composer.replay.transitions import Transitions
from composer.spec.random_streams import derive
from composer.training.collect.labelled import as_transitions

if TYPE_CHECKING:
    from composer.environments.labelled.task_sequence import TaskStream


class TaskBatches:
    """The tasks of S seeds; one task is in memory at a time."""

    def __init__(self, environment: TaskStream, seeds: Sequence[int], batch: int, device: str) -> None:
        """Loads the data of every seed."""
        self._environment, self.size = environment, environment.data.info.size
        self._batch = min(batch, self.size)
        self._seeds = tuple(environment.stream(seed) for seed in seeds)
        self._data = [environment.data.load(seed) for seed in seeds]
        self._device = device
        self.batches_per_epoch = self.size // self._batch
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
