"""Starts, measured: from the start of a process to the end of its first update. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from benchmarks.speed.party import ours
from benchmarks.speed.workloads.base import AgentWorkload

if TYPE_CHECKING:
    from benchmarks.speed.party import Party


@dataclass(frozen=True)
class Starting(AgentWorkload):
    """Processes that are ended after one update. The first of a party finds no compiled code, the others its own."""

    unit: ClassVar[str] = "starts"

    def parties(self, seeds: Sequence[int]) -> tuple[Party, ...]:
        """This project eager and compiled, and the peers."""
        return (*(ours("learning:learner", 1, compiles) for compiles in (False, True)), *self.peers)
