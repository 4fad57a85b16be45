"""The clocks of a run, and its length on each of them. Tests: tests/interventions/test_triggers.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

ClockName = Literal["env", "interaction", "update", "epoch", "phase"]
CLOCK_STEPS: Mapping[ClockName, str] = {
    "env": "environment steps",
    "interaction": "interactions",
    "update": "updates",
    "epoch": "epochs",
    "phase": "phases",
}
"""What each clock counts, in words."""
Since = Literal["start", "phase"]


@dataclass(frozen=True)
class Lengths:
    """Length of the run on each clock; ``epoch`` is 0 without a data set, ``phase`` without phases."""

    env: int
    interaction: int
    update: int
    epoch: int = 0
    phase: int = 0
    phase_per_seed: bool = False
    """Whether seeds switch from phase to phase at times of their own."""
    phase_starts: Mapping[ClockName, Sequence[int]] = field(default_factory=dict)
    """By clock, its reading at the beginning of each phase that the run reaches; empty where no trigger needs it."""

    def of(self, clock: ClockName) -> int:
        """The length on one clock."""
        length: int = getattr(self, clock)
        return length

    def spans(self, clock: ClockName, since: Since) -> list[tuple[int, int]]:
        """The parts of the run in which moments are counted, each from one reading of the clock to another."""
        starts = self.phase_starts.get(clock, ()) if since == "phase" else (0,)
        return list(zip(starts, [*starts[1:], self.of(clock)], strict=True)) if starts else []
