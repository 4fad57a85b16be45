"""Rates of alternatives on a device, timed in turns. Tests: tests/benchmarks/test_gpu.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from composer.training.timing import in_turns, lap

if TYPE_CHECKING:
    from benchmarks.gpu.setting import Setting

BURST: Final = 10
"""Calls between two waits for the device."""


class Candidate(NamedTuple):
    """A named call that is timed."""

    name: str
    call: Callable[[], object]


class Rate(NamedTuple):
    """Calls per second over the rounds."""

    median: float
    low: float
    high: float

    def times(self, number: float, unit: str) -> dict[str, Any]:
        """Columns of a row, with ``number`` units per call."""
        return {unit: self.median * number, "lowest": self.low * number, "highest": self.high * number}


def race(
    candidates: Sequence[Candidate], setting: Setting, clock: Callable[[], float] = time.perf_counter
) -> dict[str, Rate]:
    """Rates by name; each lap begins and ends with an idle device."""
    seconds, rounds = setting.sized((1.5, 5), (0.0, 2))

    def timed(candidate: Candidate) -> float:
        setting.settle()
        return lap(candidate.call, seconds, setting.settle, clock, BURST).rate

    found = in_turns({candidate.name: partial(timed, candidate) for candidate in candidates}, rounds)
    return {name: Rate(median(rates), min(rates), max(rates)) for name, rates in found.items()}


def by_count(
    calls: Mapping[int, Callable[[], object]], setting: Setting, counted: str, unit: str, against: str
) -> list[dict[str, Any]]:
    """A row per count of units in one call, 1 among them; the column ``against`` is the speed relative to 1."""
    laps = race([Candidate(str(count), call) for count, call in calls.items()], setting)
    return [
        {
            counted: count,
            **laps[str(count)].times(count, unit),
            against: laps[str(count)].median * count / laps["1"].median,
        }
        for count in calls
    ]
