"""Whether the compiled update is faster than the eager one, measured: ``compute.compile = "measured"``.

Two agents of nothing take turns, so that whatever drifts hits both alike.
Tests: tests/training/test_compile_measured.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING

from composer.training.compile.capture import Choice, choose
from composer.training.compile_ahead import example
from composer.training.learner import Learner

if TYPE_CHECKING:
    from composer.blueprint import Blueprint

ROUNDS = 5
SECONDS = 0.4
"""Of a round of one party, at least."""
WORTH = 0.95
"""A compiled update has to take less than this share of the eager one's time: closer is a tie."""


def calibrate(blueprint: Blueprint, device: str) -> Choice:
    """Compile, then measure both; the choice says what was found. Eager, unmeasured, where nothing can be compiled."""
    possible = choose("auto", device, 10**12)
    if not possible.compiled:
        return possible
    info = blueprint.environment.info
    agents = [Learner(blueprint, info, device, Choice(compiled, "measuring")) for compiled in (False, True)]
    parties = []
    for agent in agents:
        arguments = example(agent, info)
        parties.append(lambda agent=agent, arguments=arguments: agent.update(*arguments))
    eager, compiled = race(parties, agents[0].drain_signals)
    words = f"{1e3 * eager:.2f} ms eager and {1e3 * compiled:.2f} ms compiled an update, measured at the start"
    return Choice(compiled < WORTH * eager, words)


def race(
    parties: Sequence[Callable[[], object]],
    settle: Callable[[], object],
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Median seconds a call of each party, which take turns; ``settle`` waits for what is still being computed."""
    for party in parties:
        for _ in range(2):
            party()
    rounds: list[list[float]] = [[] for _ in parties]
    for _ in range(ROUNDS):
        for party, found in zip(parties, rounds, strict=True):
            settle()
            began, calls = clock(), 0
            while clock() - began < SECONDS:
                party()
                calls += 1
            settle()
            found.append((clock() - began) / calls)
    return [median(found) for found in rounds]
