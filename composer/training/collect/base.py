"""The interface between the loop and a collector: one interaction after another, and minibatches to learn from.

Legend: S seeds, E environments of a seed, B batch. Tests: tests/training/test_loop.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from composer.replay.transitions import Minibatch, Transitions
from composer.training.runs.checkpoint import Checkpoints, Snapshot

if TYPE_CHECKING:
    from composer.replay.ring import Ring
    from composer.training.collect.assessment import Assessment
    from composer.training.learner import Learner


class TransitionSource(Protocol):
    """Data that batches are drawn from. Diagnostics draw their probe batch here too."""

    def sample(self, batch: int, n_step: int, discount: Tensor, generators: list[torch.Generator]) -> Transitions:
        """Draw ``batch`` transitions per seed, ``[S, B, ...]``, from the generators of the seeds; ``discount [S]``."""

    def newest(self, batch: int, n_step: int, discount: Tensor) -> Transitions:
        """The newest ``batch`` transitions of each seed."""


class TransitionMemory(ABC):
    """The transitions of environments, and minibatches drawn from them."""

    can_prefetch: bool = True
    """Whether no draw depends on the results of the updates before it."""

    def __init__(self, ring: Ring, learner: Learner) -> None:
        """``ring`` keeps the transitions; ``learner`` says how far batches look ahead."""
        self.ring, self._learner = ring, learner
        self.acted: dict[str, Tensor] = {}
        """What ``act`` keeps of its actions until their transition is stored, by name."""

    def act(self, observation: Tensor) -> Tensor:
        """Actions ``[S, E, a]`` of the policy for raw observations ``[S, E, ...]``, the next ones to be stored."""
        return self._learner.act(observation)

    def add(self, *transition: Tensor) -> None:
        """Store one transition of every environment, as ``Ring.add`` takes it."""
        self.ring.add(*transition)

    def clear(self) -> None:
        """Forget all transitions."""
        self.ring.clear()

    @abstractmethod
    def draw(self) -> Minibatch:
        """The minibatch of the next update."""

    def burst(self, update: int) -> Iterator[Minibatch]:
        """The minibatches of the series of updates in bursts that comes before update ``update``, counted from 0."""
        return iter(())

    def learned(self) -> None:  # noqa: B027 - only priorities change
        """Called after the update on the minibatch drawn last."""

    def tensors(self) -> dict[str, Tensor]:
        """The state beside the rows of the ring, by name."""
        return self.ring.tensors()

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Load what ``tensors`` gave, after the rows."""
        self.ring.load(saved)


class Collector(ABC):
    """Collects data for S seeds at once."""

    replay: TransitionSource
    can_prefetch: bool = False
    """Whether the batches of several updates may be drawn before the first of these updates."""
    can_save_failure: bool = True
    """Whether the state is whole after a failed ``interact``: nothing but that interaction is missing."""
    may_restart: bool = False
    """Whether running episodes that cannot be continued exactly may be replaced by new ones, in ``restore``."""
    restarted: str = ""
    """Why ``restore`` has begun new episodes in place of the running ones; empty if it has not."""
    switched: Callable[[Tensor, int], None] = staticmethod(lambda seeds, number: None)
    """Called between updates when seeds enter another phase: their mask ``[S]``, the number of the switch from 1."""

    assessment: Assessment | None = None
    """What holds updates back while policies are assessed; None where updates are made when they are due."""

    @property
    def is_behind(self) -> bool:
        """Whether updates are left to be made before the next interaction."""
        return self.assessment is not None and self.assessment.active is not None

    @abstractmethod
    def begin(self) -> None:
        """Start from the beginning; a resumed collector is restored instead."""

    @abstractmethod
    def interact(self, interactions: int) -> None:
        """Make the next interaction; ``interactions`` were made before it."""

    def assess(self, updates: int) -> None:  # noqa: B027
        """Count the last interaction in the assessment; ``updates`` are due after it by the clock."""

    @abstractmethod
    def batch(self) -> Minibatch:
        """The data of the next update."""

    def burst(self, update: int) -> Iterator[Minibatch]:
        """The data of the updates in bursts that come before update ``update``, counted from 0."""
        return iter(())

    def learned(self) -> None:  # noqa: B027 - most collectors have nothing to do
        """Called after the update on the last batch."""

    def finish_step(self) -> None:  # noqa: B027
        """Called after all updates of an interaction: store the environment step that ran beside them."""

    @abstractmethod
    def epochs(self, interactions: int) -> int:
        """Passes over the data after ``interactions``; 0 where there is no data set."""

    def data_digest(self) -> str:
        """A hash of the data set that was loaded; empty where environments make the data."""
        return ""

    @abstractmethod
    def metrics(self) -> list[dict[str, float]]:
        """Metrics since the last call, one row per seed."""

    @abstractmethod
    def save(self, checkpoints: Checkpoints) -> None:
        """Write the part of the state that is too large for a snapshot."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """The rest of the state."""

    @abstractmethod
    def restore(self, snapshot: Snapshot, checkpoints: Checkpoints) -> None:
        """Continue from a checkpoint."""

    @abstractmethod
    def close(self) -> None:
        """Free simulators, threads and memory."""


def without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
