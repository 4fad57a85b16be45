"""Train runs of one clock side by side: one step of each in turn, and the updates of all in one call.

Runs that resume may be at different steps: the last to be saved before a kill is one checkpoint behind. Those ahead
wait until the others have caught up, and then enter the program at their places.
Tests: tests/training/test_population.py, tests/faults/test_resume_together.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from composer.replay.transitions import Minibatch
from composer.tracking.console import Console
from composer.training.endings import OpenRun
from composer.training.interrupts import Interrupted, Interrupts
from composer.training.loop import (
    FAILURES,
    Stopwatch,
    finish_interaction,
    first_update,
    keep_signals,
    saving_failures,
    training_steps,
)
from composer.training.population.stack import Stack
from composer.training.session import Session


class Together:
    """Open runs by their places in a program, and the stack of that program."""

    def __init__(self, opened: Mapping[int, OpenRun], stack: Stack) -> None:
        """No run has entered the stack yet."""
        self._opened, self._stack = dict(sorted(opened.items())), stack
        self._waiting = {place for place, each in opened.items() if not each.session.is_finished}
        self._running: dict[int, Iterator[Sequence[Minibatch]]] = {}
        self._failures: dict[int, Exception] = {}

    @property
    def runs(self) -> list[OpenRun]:
        """The open runs, in order of their places."""
        return [*self._opened.values()]

    def enter_all(self) -> tuple[list[Session], Callable[[Mapping[int, Sequence[Minibatch]]], None]]:
        """All sessions in order, in the program, and the call that makes their updates: for those who time them."""
        for place, each in self._opened.items():
            self._stack.enter(place, each.session.learner)
        return [each.session for each in self.runs], self._stack.learn

    def train(self, console: Console) -> None:
        """Train all runs to their ends, which they hold afterwards; one that fails leaves the others alone.

        Raises Interrupted once all that are running are saved.
        """
        stopwatch = Stopwatch(each.session for each in self.runs)
        self._time_together(console)
        with Interrupts() as interrupts:
            self._admit(console)
            while self._running:
                batches = self._step()
                if any(batches.values()):
                    session = self.runs[0].session
                    with first_update(session, console):
                        self._stack.learn(batches)
                    session.time_left.lap("update", max(map(len, batches.values())))
                    continue
                keep_signals(interrupts, console)
                signal = interrupts.requested
                with stopwatch.paused():
                    for place in batches:
                        with self._failing_alone(place):
                            finish_interaction(self._opened[place].session, console, is_stopping=signal is not None)
                self.runs[0].session.time_left.lap("rest")
                self._report(console)
                self._let_go()
                if signal and (self._running or self._waiting):
                    raise Interrupted(signal)
                self._admit(console)
        for place, each in self._opened.items():
            each.end = self._failures.get(place) or stopwatch.outcome(each.session)

    def _time_together(self, console: Console) -> None:
        """Have all runs measure their time as one, by the clock of one that is not finished."""
        sessions = [each.session for each in self.runs]
        shared = next((each for each in sessions if not each.is_finished), sessions[0]).time_left
        shared.runs = len(sessions)
        for session in sessions:
            session.time_left = shared
        console.left = shared.seconds
        shared.start()

    def _admit(self, console: Console) -> None:
        """Have those of the waiting runs enter that are not ahead of the others; only between interactions."""
        if not self._waiting:
            return
        counts = {place: self._opened[place].session.clock.interactions for place in (*self._running, *self._waiting)}
        for place in sorted(self._waiting):
            if counts[place] > min(counts.values()):
                continue
            self._waiting.remove(place)
            session = self._opened[place].session
            self._stack.enter(place, session.learner)
            self._running[place] = training_steps(session)
            if session.is_evaluating:  # The evaluation in which the run failed before.
                with self._failing_alone(place):
                    finish_interaction(session, console)
        if not self._running:
            self._admit(console)

    def _step(self) -> dict[int, Sequence[Minibatch]]:
        """The next batches of each running run, by place; empty ones after an interaction."""
        batches = {}
        for place, steps in list(self._running.items()):
            with self._failing_alone(place):
                batches[place] = next(steps)
        return batches

    def _report(self, console: Console) -> None:
        if self._running:
            clock = self._opened[next(iter(self._running))].session.clock
            console.update(clock.env_steps, clock.updates)

    def _let_go(self) -> None:
        """Forget the runs that are finished."""
        for place in [place for place in self._running if self._opened[place].session.is_finished]:
            del self._running[place]

    @contextmanager
    def _failing_alone(self, place: int) -> Iterator[None]:
        """A failure inside ends one run and leaves the others alone."""
        try:
            with saving_failures(self._opened[place].session):
                yield
        except FAILURES as failure:
            self._failures[place] = failure
            del self._running[place]
