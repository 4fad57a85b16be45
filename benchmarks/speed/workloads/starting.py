"""Workloads of starts: from the start of a process to the end of its first update. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from benchmarks.speed.candidate import ours
from benchmarks.speed.workloads.base import AgentWorkload

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate


@dataclass(frozen=True)
class Starting(AgentWorkload):
    """Processes that end after one update. Only the first one of a candidate finds no compiled code."""

    unit: ClassVar[str] = "starts"

    def candidates(self, seeds: Sequence[int]) -> tuple[Candidate, ...]:
        """This project eager and compiled, and the peers."""
        return (*(ours("learning:learner", 1, compiles) for compiles in (False, True)), *self.peers)
