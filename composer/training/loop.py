"""The loop: interactions as a generator, and what watches it. One page; everything else is called from here.

A run asks for its updates and does not make them, so that several runs can have theirs made in one program.
Tests: tests/contracts/test_loop.py, tests/contracts/test_fleet.py, tests/faults.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from composer.environments.interface import EnvironmentFailure, InvalidAction
from composer.tracking.console import Console
from composer.training.collect.base import Drawn
from composer.training.interrupts import Interrupted, Interrupts
from composer.training.learner import Diverged
from composer.training.session import Parts

FALLS = (Diverged, EnvironmentFailure, InvalidAction)
"""What ends one run and leaves those beside it alone."""


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
    (end,) = train_together([parts], lambda asked: parts.learner.learn(asked[0]), console)
    if not isinstance(end, Outcome):
        raise end
    return end


def train_together(
    crew: Sequence[Parts], learn: Callable[[Sequence[Sequence[Drawn]]], None], console: Console
) -> list[Outcome | Exception]:
    """Run several to the end, step by step beside each other; how each ended, in their order.

    Their clocks are one. ``learn`` makes the updates that all of them ask for; of a run that has fallen it is given
    what a neighbour learns from. Raises Interrupted, once all that still run are saved.
    """
    started, paused, updates_before = time.monotonic(), 0.0, crew[0].clock.updates
    courses = {index: course(parts) for index, parts in enumerate(crew)}
    ends: dict[int, Exception] = {}
    with Interrupts() as interrupts:
        while courses:
            asked: dict[int, Sequence[Drawn]] = {}
            for index in list(courses):
                try:
                    asked[index] = next(courses[index])
                except StopIteration:
                    del courses[index]
                except FALLS as fall:
                    ends[index] = fall
                    del courses[index]
            if any(asked.values()):
                stand_in = next(iter(asked.values()))
                learn([asked.get(index, stand_in) for index in range(len(crew))])
                continue
            signal = interrupts.requested  # Read once: what comes after the save is obeyed after the next one.
            pause, is_last = time.monotonic(), False
            for index in asked:
                try:
                    is_last = _watch(crew[index], console, signal is not None)
                except FALLS as fall:
                    ends[index] = fall
                    del courses[index]
            paused += time.monotonic() - pause
            if courses:
                clock = crew[next(iter(courses))].clock
                console.update(clock.env_steps, clock.updates)
            if signal and courses and not is_last:
                raise Interrupted(signal)
    seconds = time.monotonic() - started
    return [ends.get(index) or _outcome(parts, seconds, paused, updates_before) for index, parts in enumerate(crew)]


def course(parts: Parts) -> Iterator[Sequence[Drawn]]:
    """Collect, ask, intervene.

    Yields what updates learn from, which are to be made, in one call, before it goes on; and nothing after each
    interaction, when the state is whole and may be saved.
    """
    blueprint, clock = parts.blueprint, parts.clock
    while clock.env_steps < blueprint.training.env_steps:
        parts.collector.interact(clock.interactions)
        update, epochs = clock.updates, parts.collector.epochs(clock.interactions)
        owed = update + clock.tick()
        while update < owed:
            count = _at_once(parts, update, owed)
            yield [parts.collector.batch() for _ in range(count)]
            parts.collector.learned()
            parts.surgery.passed("update", update, update + count)
            update += count
        parts.collector.settle()
        parts.surgery.passed("epoch", epochs, parts.collector.epochs(clock.interactions))
        parts.surgery.passed("interaction", clock.interactions - 1, clock.interactions)
        parts.surgery.passed("env", clock.env_steps - clock.stride, clock.env_steps)
        yield ()


def interactions(parts: Parts) -> Iterator[None]:
    """The course of one run with its updates made; yields after each interaction."""
    for asked in course(parts):
        if asked:
            parts.learner.learn(asked)
        else:
            yield


def _at_once(parts: Parts, update: int, owed: int) -> int:
    """How many of the updates from ``update`` to ``owed`` one call makes: all that it takes, or one.

    Nothing may be due before its last one, and no batch may wait for what an earlier update finds out.
    """
    count = parts.blueprint.compute.updates_per_call
    fits = owed - update >= count > 1 and parts.collector.foresees
    return count if fits and not parts.surgery.due("update", update, update + count - 1) else 1


def _watch(parts: Parts, console: Console, is_asked: bool) -> bool:
    """What is due after an interaction: rows, evaluations, checkpoints; whether it was the last one."""
    blueprint, clock = parts.blueprint, parts.clock
    is_last = clock.env_steps >= blueprint.training.env_steps
    if is_last or clock.due(blueprint.training.log_every):
        _log(parts)
    if is_last or clock.due(blueprint.evaluation.every):
        _evaluate(parts, console)
    if is_last or parts.diagnostics.due(clock):
        _diagnose(parts, is_last)
    if is_last or is_asked or clock.due(blueprint.checkpoint.every):
        parts.save()
    return is_last


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


def _diagnose(parts: Parts, is_last: bool) -> None:
    """What measures read, recorded a seed."""
    rows = parts.diagnostics.read(parts.learner, parts.collector.replay, parts.clock, is_last)
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
        parts.title,
    )


def _outcome(parts: Parts, seconds: float, paused: float, updates_before: int) -> Outcome:
    made = parts.clock.updates - updates_before
    return Outcome(
        parts.returns, parts.clock.env_steps, parts.clock.updates, seconds, made / max(seconds - paused, 1e-9)
    )
