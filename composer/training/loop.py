"""The loop: interactions as a generator, and what watches it. One page; everything else is called from here.

A run asks for its updates and does not make them, so that several runs can have theirs made in one program.
Tests: tests/training/test_loop.py, tests/training/test_population.py, tests/faults.
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
from composer.training.session import Session

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


def train(session: Session, console: Console) -> Outcome:
    """Run to the end, from wherever ``session`` stands. Raises Interrupted (saved), Diverged, EnvironmentFailure."""
    (end,) = train_together([session], lambda asked: session.learner.learn(asked[0]), console)
    if not isinstance(end, Outcome):
        raise end
    return end


def train_together(
    crew: Sequence[Session], learn: Callable[[Sequence[Sequence[Drawn]]], None], console: Console
) -> list[Outcome | Exception]:
    """Run several to the end, step by step beside each other; how each ended, in their order.

    Their clocks are one. ``learn`` makes the updates that all of them ask for; of a run that has fallen it is given
    what a neighbour learns from. Raises Interrupted, once all that still run are saved.
    """
    started, paused, updates_before = time.monotonic(), 0.0, crew[0].clock.updates
    horizon_schedules = {index: course(session) for index, session in enumerate(crew)}
    ends: dict[int, Exception] = {}
    with Interrupts() as interrupts:
        while horizon_schedules:
            asked: dict[int, Sequence[Drawn]] = {}
            for index in list(horizon_schedules):
                try:
                    asked[index] = next(horizon_schedules[index])
                except StopIteration:
                    del horizon_schedules[index]
                except FALLS as fall:
                    ends[index] = fall
                    del horizon_schedules[index]
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
                    del horizon_schedules[index]
            paused += time.monotonic() - pause
            if horizon_schedules:
                clock = crew[next(iter(horizon_schedules))].clock
                console.update(clock.env_steps, clock.updates)
            if signal and horizon_schedules and not is_last:
                raise Interrupted(signal)
    seconds = time.monotonic() - started
    return [ends.get(index) or _outcome(session, seconds, paused, updates_before) for index, session in enumerate(crew)]


def course(session: Session) -> Iterator[Sequence[Drawn]]:
    """Collect, ask, intervene.

    Yields what updates learn from, which are to be made, in one call, before it goes on; and nothing after each
    interaction, when the state is whole and may be saved.
    """
    blueprint, clock = session.blueprint, session.clock
    while clock.env_steps < blueprint.training.env_steps:
        session.collector.interact(clock.interactions)
        update, epochs = clock.updates, session.collector.epochs(clock.interactions)
        owed = update + clock.tick()
        while update < owed:
            count = _at_once(session, update, owed)
            yield [session.collector.batch() for _ in range(count)]
            session.collector.learned()
            session.surgery.passed("update", update, update + count)
            update += count
        session.collector.finish_step()
        session.surgery.passed("epoch", epochs, session.collector.epochs(clock.interactions))
        session.surgery.passed("interaction", clock.interactions - 1, clock.interactions)
        session.surgery.passed("env", clock.env_steps - clock.stride, clock.env_steps)
        yield ()


def interactions(session: Session) -> Iterator[None]:
    """The course of one run with its updates made; yields after each interaction."""
    for asked in course(session):
        if asked:
            session.learner.learn(asked)
        else:
            yield


def _at_once(session: Session, update: int, owed: int) -> int:
    """How many of the updates from ``update`` to ``owed`` one call makes: all that it takes, or one.

    Nothing may be due before its last one, and no batch may wait for what an earlier update finds out.
    """
    count = session.blueprint.compute.updates_per_call
    fits = owed - update >= count > 1 and session.collector.can_prefetch
    return count if fits and not session.surgery.due("update", update, update + count - 1) else 1


def _watch(session: Session, console: Console, is_asked: bool) -> bool:
    """What is due after an interaction: rows, evaluations, checkpoints; whether it was the last one."""
    blueprint, clock = session.blueprint, session.clock
    is_last = clock.env_steps >= blueprint.training.env_steps
    if is_last or clock.due(blueprint.training.log_every):
        _log(session)
    if is_last or clock.due(blueprint.evaluation.every):
        _evaluate(session, console)
    if is_last or session.diagnostics.due(clock):
        _diagnose(session, is_last)
    if is_last or is_asked or clock.due(blueprint.checkpoint.every):
        session.save()
    return is_last


def _log(session: Session) -> None:
    """One row of metrics a seed: means since the last row. The only transfer of training to the host."""
    for seed, signals, collected in zip(
        session.blueprint.seeds, session.learner.drain_signals(), session.collector.metrics(), strict=True
    ):
        bad = [name for name, value in signals.items() if not np.isfinite(value)]
        if bad:
            raise Diverged(
                f"{bad[0]} of seed {seed} is {signals[bad[0]]} at environment step {session.clock.env_steps:,}"
            )
        if signals or collected:
            session.record_metrics(seed, signals | collected)
    session.record_timing()


def _diagnose(session: Session, is_last: bool) -> None:
    """What measures read, recorded a seed."""
    rows = session.diagnostics.read(session.learner, session.collector.replay, session.clock, is_last)
    for seed, row in zip(session.blueprint.seeds, rows, strict=True):
        if row:
            session.record_metrics(seed, row)


def _evaluate(session: Session, console: Console) -> None:
    """Evaluation episodes, recorded a seed."""
    returns = session.evaluator.returns(session.learner, session.clock.env_steps)
    session.returns = returns.tolist()
    for seed, row in zip(session.blueprint.seeds, returns, strict=True):
        session.record_metrics(seed, {session.evaluator.metric: float(row.mean())})
    session.flush()
    console.evaluation(
        session.clock.env_steps,
        {seed: float(row.mean()) for seed, row in zip(session.blueprint.seeds, returns, strict=True)},
        session.title,
    )


def _outcome(session: Session, seconds: float, paused: float, updates_before: int) -> Outcome:
    made = session.clock.updates - updates_before
    return Outcome(
        session.returns, session.clock.env_steps, session.clock.updates, seconds, made / max(seconds - paused, 1e-9)
    )
