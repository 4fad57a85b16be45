"""Workloads of machines that others use too. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from benchmarks.speed.candidate import ours
from benchmarks.speed.workloads.base import AgentWorkload

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate


@dataclass(frozen=True)
class Sharing(AgentWorkload):
    """Updates alone, beside one busy process, and of two trainings at once."""

    unit: ClassVar[str] = "agent updates"

    def candidates(self, seeds: Sequence[int]) -> tuple[Candidate, ...]:
        """This project eager and compiled, and the peers."""
        return (*(ours("learning:learner", 1, compiles) for compiles in (False, True)), *self.peers)
