"""Measure whether the compiled update is faster than the eager one: ``compute.compile = "measured"``.

Tests: tests/training/test_compile_measured.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from composer.training.compile.capture import Choice, choose, eager_after
from composer.training.compile.first_call import CompileFailed
from composer.training.compile_ahead import example
from composer.training.timing import in_turns, lap

if TYPE_CHECKING:
    from composer.environments.interface import EnvironmentInfo
    from composer.training.learner import Learner

ROUNDS = 5
SECONDS = 0.4
"""Length of one lap, at least."""
WORTH = 0.95
"""A compiled update has to take less than this share of the eager one's time; otherwise it is a tie."""


def calibrate(make: Callable[[Choice], Learner], info: EnvironmentInfo, device: str) -> Choice:
    """Compile, then time both; the choice gives the times. Eager, unmeasured, where nothing can be compiled."""
    possible = choose("auto", device, 10**12)
    if not possible.compiled:
        return possible
    agents = [make(Choice(compiled, "measuring")) for compiled in (False, True)]
    updates = [partial(agent.update, *example(agent, info)) for agent in agents]
    try:
        eager, compiled = seconds_per_call(updates, agents[0].drain_signals)
    except CompileFailed as failure:
        return eager_after(str(failure))
    words = f"{1e3 * eager:.2f} ms eager and {1e3 * compiled:.2f} ms compiled an update, measured at the start"
    return Choice(compiled < WORTH * eager, words, falls_back=True)


def seconds_per_call(
    calls: Sequence[Callable[[], object]],
    settle: Callable[[], object],
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Median seconds per call of each alternative, timed in turns; ``settle`` waits for pending work."""
    laps = {number: partial(lap, call, SECONDS, settle, clock) for number, call in enumerate(calls)}
    return [median(one.seconds / one.calls for one in found) for found in in_turns(laps, ROUNDS).values()]
