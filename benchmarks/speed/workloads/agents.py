"""Workloads of agents: learning from stored data, choosing actions, and the whole loop. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from benchmarks.speed.candidate import FLOOR, ours
from benchmarks.speed.workloads.base import AgentWorkload

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate


@dataclass(frozen=True)
class Learning(AgentWorkload):
    """Updates on synthetic data, with the drawing of batches: the training loop without environments."""

    unit: ClassVar[str] = "agent updates"

    most_seeds: int = 1
    """Seed counts above are left out."""
    places: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Places on the axes of the plot, by axis."""
    share: float = 1.0
    """Length of a timed stretch as a share of the requested one."""

    @property
    def lap(self) -> float:
        """As declared."""
        return self.share

    @property
    def curves(self) -> Mapping[str, float]:
        """As declared."""
        return MappingProxyType(dict(self.places))

    def candidates(self, seeds: Sequence[int]) -> tuple[Candidate, ...]:
        """The floor, this project eager and compiled, the peers."""
        counts = [count for count in seeds if count <= self.most_seeds] or [1]
        mine = [ours("learning:learner", count, compiles) for count in counts for compiles in (False, True)]
        return (FLOOR, *mine, *self.peers)


@dataclass(frozen=True)
class Deciding(AgentWorkload):
    """One action for one observation, exploration noise included: from a NumPy array to a NumPy array."""

    unit: ClassVar[str] = "decisions"

    def candidates(self, seeds: Sequence[int]) -> tuple[Candidate, ...]:
        """This project, whose policy is never compiled, and the peers."""
        return (ours("policy:policy", 1, compiles=False), *self.peers)


@dataclass(frozen=True)
class Looping(AgentWorkload):
    """The whole loop: act, step the environment, store, update once a decision."""

    unit: ClassVar[str] = "decisions"

    def candidates(self, seeds: Sequence[int]) -> tuple[Candidate, ...]:
        """This project eager and compiled, and the peers."""
        return (*(ours("loop:loop", 1, compiles) for compiles in (False, True)), *self.peers)
