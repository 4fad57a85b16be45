"""The loop: interactions as a generator, and what watches it. One page; everything else is called from here.

Tests: tests/contracts/test_loop.py, tests/faults.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from composer.interrupts import Interrupted, Interrupts
from composer.learner import Diverged
from composer.state import Parts
from composer.tracking.console import Console


@dataclass(frozen=True)
class Outcome:
    """How a finished run went."""

    returns: list[list[float]]
    """Undiscounted returns of the last evaluation, by seed and episode."""
    env_steps: int
    updates: int
    seconds: float
    updates_per_second: float
    """Updates of every seed's program call a second, over the time spent learning (environment steps included)."""


def train(parts: Parts, console: Console) -> Outcome:
    """Run to the end, from wherever ``parts`` stands. Raises Interrupted (saved), Diverged, EnvironmentFailure."""
    blueprint, clock = parts.blueprint, parts.clock
    started, paused, updates_before = time.monotonic(), 0.0, clock.updates
    with Interrupts() as interrupts:
        for _ in interactions(parts):
            last = clock.env_steps >= blueprint.training.env_steps
            asked = interrupts.requested  # Read once: a signal that comes after the save is obeyed after the next one.
            pause = time.monotonic()
            if last or clock.due(blueprint.training.log_every):
                _log(parts)
            if last or clock.due(blueprint.evaluation.every):
                _evaluate(parts, console)
            if last or parts.diagnostics.due(clock):
                _diagnose(parts, last)
            if last or asked or clock.due(blueprint.checkpoint.every):
                parts.save()
            paused += time.monotonic() - pause
            console.update(clock.env_steps, clock.updates)
            if asked and not last:
                raise Interrupted(asked)
    seconds = time.monotonic() - started
    made = clock.updates - updates_before
    return Outcome(parts.returns, clock.env_steps, clock.updates, seconds, made / max(seconds - paused, 1e-9))


def interactions(parts: Parts) -> Iterator[None]:
    """Collect, learn, intervene; yields after each interaction, when the state is whole and may be saved."""
    blueprint, clock = parts.blueprint, parts.clock
    while clock.env_steps < blueprint.training.env_steps:
        parts.collector.interact(clock.interactions)
        done, epochs = clock.updates, parts.collector.epochs(clock.interactions)
        for update in range(done + 1, done + clock.tick() + 1):
            parts.learner.update(*parts.collector.batch())
            parts.collector.learned()
            parts.surgery.passed("update", update - 1, update)
        parts.collector.settle()
        parts.surgery.passed("epoch", epochs, parts.collector.epochs(clock.interactions))
        parts.surgery.passed("interaction", clock.interactions - 1, clock.interactions)
        parts.surgery.passed("env", clock.env_steps - clock.stride, clock.env_steps)
        yield


def _log(parts: Parts) -> None:
    """One row of metrics a seed: means since the last row. The only transfer of training to the host."""
    for seed, signals, collected in zip(
        parts.blueprint.seeds, parts.learner.drain_signals(), parts.collector.metrics(), strict=True
    ):
        bad = [name for name, value in signals.items() if not np.isfinite(value)]
        if bad:
            raise Diverged(
                f"{bad[0]} of seed {seed} is {signals[bad[0]]} at environment step {parts.clock.env_steps:,}"
            )
        if signals or collected:
            parts.record_metrics(seed, signals | collected)
    parts.record_timing()


def _diagnose(parts: Parts, last: bool) -> None:
    """What measures read, recorded a seed."""
    rows = parts.diagnostics.read(parts.learner, parts.collector.replay, parts.clock, last)
    for seed, row in zip(parts.blueprint.seeds, rows, strict=True):
        if row:
            parts.record_metrics(seed, row)


def _evaluate(parts: Parts, console: Console) -> None:
    """Evaluation episodes, recorded a seed."""
    returns = parts.evaluator.returns(parts.learner, parts.clock.env_steps)
    parts.returns = returns.tolist()
    for seed, row in zip(parts.blueprint.seeds, returns, strict=True):
        parts.record_metrics(seed, {parts.evaluator.metric: float(row.mean())})
    parts.flush()
    console.evaluation(
        parts.clock.env_steps,
        {seed: float(row.mean()) for seed, row in zip(parts.blueprint.seeds, returns, strict=True)},
    )
