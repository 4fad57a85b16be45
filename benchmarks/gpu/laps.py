"""Timing in turns: whatever drifts hits all parties alike. Tests: tests/benchmarks/test_gpu.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from benchmarks.gpu.setting import Setting


class Party(NamedTuple):
    """One that is timed."""

    name: str
    call: Callable[[], object]


class Rate(NamedTuple):
    """Calls a second over the rounds."""

    median: float
    low: float
    high: float

    def times(self, number: float, unit: str) -> dict[str, Any]:
        """As columns of a row, ``number`` units a call."""
        return {unit: self.median * number, "lowest": self.low * number, "highest": self.high * number}


def race(parties: Sequence[Party], setting: Setting, clock: Callable[[], float] = time.perf_counter) -> dict[str, Rate]:
    """Rates by name; the device is waited for before and after each lap. A first round warms up and is thrown away."""
    seconds, rounds = setting.sized((1.5, 5), (0.0, 2))
    found: dict[str, list[float]] = {party.name: [] for party in parties}
    for number in range(rounds + 1):
        for party in parties:
            rate = _lap(party, seconds, setting, clock)
            if number:
                found[party.name].append(rate)
    return {name: Rate(median(rates), min(rates), max(rates)) for name, rates in found.items()}


def by_count(
    calls: Mapping[int, Callable[[], object]], setting: Setting, counted: str, unit: str, against: str
) -> list[dict[str, Any]]:
    """A row for each count of things that one call does, 1 among them; ``against`` heads the column of times one."""
    laps = race([Party(str(count), call) for count, call in calls.items()], setting)
    return [
        {
            counted: count,
            **laps[str(count)].times(count, unit),
            against: laps[str(count)].median * count / laps["1"].median,
        }
        for count in calls
    ]


def _lap(party: Party, seconds: float, setting: Setting, clock: Callable[[], float]) -> float:
    setting.settle()
    began, calls = clock(), 0
    while True:
        # Several at once: a device works behind the host, which would run far ahead of it.
        for _ in range(10):
            party.call()
        calls += 10
        setting.settle()
        if (passed := clock() - began) >= seconds:
            return calls / max(passed, 1e-9)
