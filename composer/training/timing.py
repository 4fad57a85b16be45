"""Time alternatives in turns, so that whatever drifts (clock speed, heat, other processes) affects all of them alike.

Tests: tests/training/test_timing.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

Key = TypeVar("Key")
Result = TypeVar("Result")


class Lap(NamedTuple):
    """One timed stretch of calls."""

    calls: int
    seconds: float

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.calls / max(self.seconds, 1e-9)


def lap(
    call: Callable[[], object],
    seconds: float,
    settle: Callable[[], object],
    clock: Callable[[], float] = time.perf_counter,
    burst: int | None = None,
) -> Lap:
    """Call until ``seconds`` have passed, at least once; ``settle`` waits for pending work and is part of the time.

    With ``burst``, settle after every so many calls: a host runs far ahead of its GPU otherwise.
    """
    began, calls = clock(), 0
    while True:
        for _ in range(burst or 1):
            call()
        calls += burst or 1
        if burst:
            settle()
        if (passed := clock() - began) >= seconds:
            break
    if burst:
        return Lap(calls, passed)
    settle()
    return Lap(calls, clock() - began)


def in_turns(
    laps: Mapping[Key, Callable[[], Result]], rounds: int, announce: Callable[[int], object] = lambda _: None
) -> dict[Key, list[Result]]:
    """Results of ``rounds`` laps of each alternative, one lap of each per round, after a round that warms up.

    ``announce`` is given the number of the round that begins; the discarded one is 0.
    """
    found: dict[Key, list[Result]] = {key: [] for key in laps}
    for number in range(rounds + 1):
        announce(number)
        for key, run in laps.items():
            result = run()
            if number:
                found[key].append(result)
    return found
