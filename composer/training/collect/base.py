"""What the loop asks of a collector: one interaction after another, and batches to learn from.

Legend: S seeds, E environments of a seed, B batch. Tests: tests/training/test_loop.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from composer.replay.transitions import Minibatch, Transitions
from composer.training.runs.checkpoint import Checkpoints, Snapshot


class TransitionSource(Protocol):
    """What batches are drawn from; diagnostics draw their probe batch here too."""

    def sample(self, batch: int, n_step: int, discount: Tensor, generators: list[torch.Generator]) -> Transitions:
        """``batch`` transitions a seed, ``[S, B, ...]``, from the generators of the seeds; ``discount [S]``."""

    def newest(self, batch: int, n_step: int, discount: Tensor) -> Transitions:
        """The newest ``batch`` transitions a seed."""


class Collector(ABC):
    """Collects data of S seeds at once."""

    replay: TransitionSource
    can_prefetch: bool = False
    """Whether batches may be drawn before the updates on those before them are made: nothing of a draw follows from
    an update."""
    switched: Callable[[Tensor, int], None] = staticmethod(lambda seeds, number: None)
    """Called between updates when seeds enter the next planned stage: their mask ``[S]``, and how many they entered."""

    @abstractmethod
    def begin(self) -> None:
        """Start anew; a resumed collector is restored instead."""

    @abstractmethod
    def interact(self, interactions: int) -> None:
        """The next interaction, after as many as there have been."""

    @abstractmethod
    def batch(self) -> Minibatch:
        """What the next update learns from."""

    def learned(self) -> None:  # noqa: B027 - most collectors have nothing to do
        """The update on the last batch is done."""

    def finish_step(self) -> None:  # noqa: B027
        """All updates that an interaction owed are done: take in what has been going on beside them."""

    @abstractmethod
    def epochs(self, interactions: int) -> int:
        """Passes over the data after so many interactions; 0 where there is no data set."""

    @abstractmethod
    def metrics(self) -> list[dict[str, float]]:
        """What was seen since the last call, a dict a seed."""

    @abstractmethod
    def save(self, checkpoints: Checkpoints) -> None:
        """Write what is too large for a snapshot."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """The rest of the state."""

    @abstractmethod
    def restore(self, snapshot: Snapshot, checkpoints: Checkpoints) -> None:
        """Put a checkpoint back."""

    @abstractmethod
    def close(self) -> None:
        """Free what is held."""


def without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
