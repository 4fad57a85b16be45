"""What collectors and evaluators on labelled data have in common, whether the data come in tasks or in phases.

A sample is a transition whose action is the right answer. Legend: S seeds, B batch, K classes.
Tests: tests/environments/test_tasks.py, tests/environments/test_phases.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from composer.replay.transitions import Minibatch, Transitions
from composer.training.collect.base import Collector, TransitionSource
from composer.training.runs.checkpoint import Checkpoints, Snapshot


class LabelledBatches(TransitionSource, Protocol):
    """Labelled data whose batches are numbered: a batch is a function of seed and number."""

    def at(self, interactions: int) -> Transitions:
        """Batch number ``interactions``, from 0."""

    def loaded(self) -> Iterator[Tensor]:
        """Inputs and labels of all samples, as they were loaded."""


class LabelledCollector(Collector):
    """Reads batches one after another. Its only state is the count of interactions, unless a kind adds some."""

    replay: LabelledBatches

    def __init__(self, replay: LabelledBatches, seeds: int) -> None:
        """Begins at the first batch."""
        self.replay, self._seeds, self._next = replay, seeds, 0

    @override
    def begin(self) -> None:
        self._next = 0

    @override
    def interact(self, interactions: int) -> None:
        self._next = interactions

    @override
    def data_digest(self) -> str:
        """SHA-256, in hexadecimal, of inputs and labels, with their types and shapes."""
        found = hashlib.sha256()
        for each in self.replay.loaded():
            found.update(f"{each.dtype} {[*each.shape]}".encode())
            found.update(each.cpu().contiguous().numpy().data)
        return found.hexdigest()

    @override
    def batch(self) -> Minibatch:
        return Minibatch(self.replay.at(self._next))

    @override
    def metrics(self) -> list[dict[str, float]]:
        return [{} for _ in range(self._seeds)]

    @override
    def save(self, checkpoints: Checkpoints) -> None:
        pass

    @override
    def snapshot(self) -> Snapshot:
        return Snapshot({}, {}, ())

    @override
    def close(self) -> None:
        pass


def as_transitions(inputs: Tensor, labels: Tensor, classes: int) -> Transitions:
    """Samples ``[S, B, ...]`` with labels ``[S, B]`` as transitions.

    Actions are one-hot classes ``[S, B, K]`` or numbers ``[S, B, 1]``. Next observations are inputs; rewards are 0.
    """
    answers = labels[..., None] if labels.is_floating_point() else functional.one_hot(labels, classes).float()
    zeros = torch.zeros(labels.shape, device=labels.device)
    return Transitions(inputs, answers, zeros, zeros, inputs)


def r_squared(predicted: Tensor, target: Tensor) -> Tensor:
    """R squared over samples, ``[S, n, ...]`` to ``[S, ...]``: 1 is perfect, 0 the score of predicting the mean.

    The variance counts as at least a thousandth of the mean square: all targets of a task may be equal.
    """
    spread = torch.maximum(target.var(1, correction=0), 1e-3 * target.square().mean(1)).clamp_min(1e-6)
    return 1 - (predicted - target).square().mean(1) / spread
