"""Timing in turns: the order of laps, the round that warms up, and what belongs to the time."""

from __future__ import annotations

from functools import partial

import pytest

from composer.training.timing import Lap, in_turns, lap


def test_alternatives_take_turns_and_the_first_round_is_left_out() -> None:
    order: list[str] = []
    rounds: list[int] = []

    def run(name: str) -> int:
        order.append(name)
        return len(order)

    found = in_turns({name: partial(run, name) for name in "ab"}, 2, rounds.append)
    assert "".join(order) == "ababab"
    assert found == {"a": [3, 5], "b": [4, 6]}
    assert rounds == [0, 1, 2]


@pytest.mark.parametrize(
    ("ticks", "burst", "expected", "settled"),
    [
        ([0.0, 1.0, 2.0, 2.5], None, Lap(2, 2.5), 1),  # Settling once, at the end, belongs to the time.
        ([0.0, 1.0, 2.0], 3, Lap(6, 2.0), 2),  # Settling after every burst does too.
        ([0.0, 9.0, 9.5], None, Lap(1, 9.5), 1),  # One call at least.
    ],
)
def test_a_lap_ends_after_its_time(ticks: list[float], burst: int | None, expected: Lap, settled: int) -> None:
    times, calls, waits = iter(ticks), [], []
    found = lap(lambda: calls.append(1), 2.0, lambda: waits.append(1), lambda: next(times), burst)
    assert (found, len(calls), len(waits)) == (expected, expected.calls, settled)
    assert found.rate == expected.calls / expected.seconds
