"""The training loop: collect, update, record, intervene, evaluate, save.

``training_steps`` collects, and yields the batches of due updates instead of making them, so that several runs can make
theirs in one program (``composer.training.population``). ``finish_interaction`` does what is due between interactions,
when the state is whole.
Tests: tests/training/test_loop.py, tests/training/test_population.py, tests/faults.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from composer.environments.interface import EnvironmentFailure, InvalidAction
from composer.replay.transitions import Minibatch
from composer.tracking.console import Console
from composer.training.collect.assessment import Assessment
from composer.training.divergence import Diverged, ensure_bounded_metrics, ensure_bounded_parameters
from composer.training.interrupts import Interrupted, Interrupts
from composer.training.profiling import timed
from composer.training.session import Session
from composer.training.surgery.unfired import NEVER_FIRED, unfired, unfired_text

FAILURES = (Diverged, EnvironmentFailure, InvalidAction)
"""Errors that end one run and leave the runs beside it alone."""


@dataclass(frozen=True)
class Outcome:
    """Results of a finished run."""

    returns: list[list[float]]
    """Undiscounted returns of the last evaluation, by seed and episode."""
    env_steps: int
    updates: int
    seconds: float
    updates_per_second: float
    """Calls of the update per second, all seeds in one call, over the time spent collecting and learning."""


def train(session: Session, console: Console) -> Outcome:
    """Train one run to its end, from the state of ``session``.

    Raises Interrupted (after a save) and the ``FAILURES``.
    """
    stopwatch = Stopwatch([session])
    with Interrupts() as interrupts, saving_failures(session):
        session.time_left.start()
        if session.is_evaluating:  # The evaluation in which the run failed before.
            finish_interaction(session, console)
        for batches in training_steps(session):
            if batches:
                with first_update(session, console):
                    session.learn(batches)
                session.time_left.lap("update", len(batches))
                session.is_stopping = interrupts.requested is not None
                continue
            keep_signals(interrupts, console)
            signal = interrupts.requested  # Read once: a later signal is obeyed after the next interaction.
            with stopwatch.paused():
                finish_interaction(session, console, is_stopping=signal is not None)
            session.time_left.lap("rest")
            console.update(session.clock.env_steps, session.clock.updates)
            if signal and not session.is_finished:
                raise Interrupted(signal)
    return stopwatch.outcome(session)


def training_steps(session: Session) -> Iterator[Sequence[Minibatch]]:
    """Collect interactions and fire planned interventions; the caller makes the updates.

    Yields the batches of the next call of ``Learner.learn``, and an empty sequence after each interaction.
    """
    clock, collector, surgery = session.clock, session.collector, session.surgery
    while not session.is_finished:
        epochs = collector.epochs(clock.interactions)
        if not collector.is_behind:  # Else the run was stopped before all updates were made.
            _collect(session)
            update = clock.updates
            due = update + clock.tick()
            session.time_left.interaction()
            collector.assess(clock.updates + clock.held)
        if collector.assessment is None:
            yield from _updates(session, update, due)
        else:
            yield from _released_updates(session, collector.assessment)
        collector.finish_step()
        surgery.fire_planned("epoch", epochs, collector.epochs(clock.interactions))
        surgery.fire_planned("interaction", clock.interactions - 1, clock.interactions)
        surgery.fire_planned("env", clock.env_steps - clock.stride, clock.env_steps)
        yield ()


def _updates(session: Session, update: int, due: int) -> Iterator[Sequence[Minibatch]]:
    """The updates from ``update`` to ``due``."""
    while update < due:
        for batch in session.collector.burst(update):
            session.last_batch = batch
            yield [batch]
        count = _updates_of_next_call(session, update, due)
        batches = [_draw(session) for _ in range(count)]
        session.last_batch = batches[-1]
        yield batches
        session.collector.learned()
        session.surgery.fire_planned("update", update, update + count)
        update += count


def _released_updates(session: Session, assessment: Assessment) -> Iterator[Sequence[Minibatch]]:
    """The updates that were held back while a policy was assessed, each seed's own; a signal comes between them."""
    clock, due = session.clock, session.clock.updates + session.clock.held
    while (active := assessment.active) is not None:
        session.last_batch = _draw(session)
        yield [session.last_batch]
        session.collector.learned()
        before = assessment.done.clone()
        assessment.advance(active)
        clock.held = due - int(assessment.done.max())
        for update in before[active].unique().tolist():
            session.surgery.fire_planned("update", update, update + 1, active & (before == update))
        if session.is_stopping and assessment.active is not None:
            yield ()
    clock.held = due - int(assessment.done.max())


def finish_interaction(session: Session, console: Console, is_stopping: bool = False) -> None:
    """Record, intervene, evaluate, save: whatever is due after an interaction, and all of it after the last."""
    clock, is_last = session.clock, session.is_finished
    if session.collector.is_behind:  # Stopped between updates; the rest is due after them.
        session.save()
        return
    if not session.is_evaluating and (is_last or clock.due(session.training.log_every)):
        _record_and_intervene(session, _training_metrics(session))
        session.surgery.record_counts()
        session.record_speed()
        session.flush()
        session.ensure_uploading()
        session.switch_to_compiled()
    if is_last or clock.due(session.evaluation.every):
        session.is_evaluating = True
        session.time_left.lap("rest", 0)
        rows = _evaluate(session)
        session.time_left.lap("evaluation")
        session.is_evaluating = False
        means = {seed: row[session.evaluator.metric] for seed, row in zip(session.seeds, rows, strict=True)}
        session.keep_if_best([*means.values()])
        _record_and_intervene(session, rows)
        session.flush()
        console.evaluation(clock.env_steps, means, session.title, session.metric, session.best)
    if is_last or session.diagnostics.due(clock):
        session.time_left.lap("rest", 0)
        _record_and_intervene(session, _diagnose(session))
        session.time_left.lap("diagnostics")
    if is_last:
        for row in unfired(session):
            session.record("event", seed=None, name=NEVER_FIRED, **row)
            console.note(": ".join(filter(None, (session.title, unfired_text(row, len(session.seeds))))))
    if is_last or is_stopping or clock.due(session.checkpoint.every):
        session.time_left.lap("rest", 0)
        session.save()
        session.time_left.lap("checkpoint")
    _tell_firings(session, console)


def first_update(session: Session, console: Console) -> AbstractContextManager[None]:
    """Say that the first update of this process is compiled, or loaded, where it is."""
    if not session.learner.choice.compiled or session.time_left.has_updated:
        return nullcontext()
    kept = session.learner.kept
    is_kept = kept is not None and kept.listing("compute_update").exists()
    return console.during("loading the compiled update" if is_kept else "compiling the update")


def _tell_firings(session: Session, console: Console) -> None:
    """Tell people which interventions have fired, on which networks, and of which seeds where not of all."""
    for name, by_seed in session.firings.items():
        about = [*filter(None, (session.title,)), *session.surgery.roles(name)]
        about += [] if len(by_seed) == len(session.seeds) else [f"seed {seed}" for seed in sorted(by_seed)]
        console.fired(session.clock.env_steps, name, ", ".join(about), max(by_seed.values()))
    session.firings.clear()


@contextmanager
def saving_failures(session: Session) -> Iterator[None]:
    """Save the last whole state of a run whose environment fails, and the last batch of one that diverges."""
    try:
        yield
    except EnvironmentFailure:
        session.say(f"{_called(session)}the environment failed at environment step {session.clock.env_steps:,}")
        session.save_failure()
        raise
    except (Diverged, InvalidAction) as failure:
        session.say(f"{_called(session)}diverged at environment step {session.clock.env_steps:,}")
        session.keep_last_batch(failure)
        raise


def _called(session: Session) -> str:
    return f"{session.title}: " if session.title else ""


def keep_signals(interrupts: Interrupts, console: Console) -> None:
    """Take back the signals that an environment has taken, and say so."""
    if taken := interrupts.keep():
        console.note(f"the environment, or a library, had taken {', '.join(taken)}: the run saves itself again on them")


def _record_and_intervene(session: Session, rows: Iterable[Mapping[str, float]]) -> None:
    """Record one row of metrics per seed; interventions that wait for a metric read each row."""
    for index, metrics in enumerate(rows):
        if metrics:
            session.record("metrics", seed=session.seeds[index], metrics=metrics)
            session.surgery.fire_on_metrics(index, metrics, session.counts())


def _training_metrics(session: Session) -> Sequence[Mapping[str, float]]:
    """Means since the last row, per seed. Only here does training wait for transfers to the host; raises Diverged."""
    learned, collected = session.learner.drain_signals(), session.collector.metrics()
    bounds, step = session.training.divergence, session.clock.env_steps
    ensure_bounded_metrics(learned, session.seeds, bounds.metrics, step)
    ensure_bounded_parameters(session.learner, bounds.parameters, step)
    return [{**signals, **episodes} for signals, episodes in zip(learned, collected, strict=True)]


@timed("collecting: the rest")
def _collect(session: Session) -> None:
    session.collector.interact(session.clock.interactions)


@timed("replay: drawing batches")
def _draw(session: Session) -> Minibatch:
    return session.collector.batch()


@timed("diagnostics")
def _diagnose(session: Session) -> list[dict[str, float]]:
    """Read what is due of the diagnostics; a row of metrics per seed."""
    replay, clock = session.collector.replay, session.clock
    return session.diagnostics.read(session.learner, replay, clock, session.is_finished)


@timed("evaluation, its policy not counted")
def _evaluate(session: Session) -> list[dict[str, float]]:
    """Evaluate every seed; the mean return of each as a row of metrics, perhaps with others."""
    evaluator, step = session.evaluator, session.clock.env_steps
    returns = evaluator.returns(session.learner, step)
    more = evaluator.more(session.learner, step)
    session.returns = returns.tolist()
    return [{evaluator.metric: float(row.mean()), **others} for row, others in zip(returns, more, strict=True)]


def _updates_of_next_call(session: Session, update: int, due: int) -> int:
    """How many of the updates from ``update`` to ``due`` to make in one call: ``updates_per_call``, or one.

    One where an intervention is planned before the last of them, or a batch depends on the update before it.
    """
    count = session.updates_per_call
    fits = due - update >= count > 1 and session.collector.can_prefetch
    return count if fits and not session.surgery.due("update", update, update + count - 1) else 1


class Stopwatch:
    """Measures how long training takes, and how much of that is collecting and learning."""

    def __init__(self, sessions: Iterable[Session]) -> None:
        self._started, self._paused = time.monotonic(), 0.0
        self._updates = {id(session): session.clock.updates for session in sessions}

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count this time as collecting and learning."""
        began = time.monotonic()
        yield
        self._paused += time.monotonic() - began

    def outcome(self, session: Session) -> Outcome:
        """Results of a session that has just finished."""
        seconds, clock = time.monotonic() - self._started, session.clock
        rate = (clock.updates - self._updates[id(session)]) / max(seconds - self._paused, 1e-9)
        return Outcome(session.returns, clock.env_steps, clock.updates, seconds, rate)
