"""``composer search``: trials choose values of a blueprint's keys, the first ones by chance, later ones from scores.

A search that was stopped or killed goes on with the same command: trials that had ended are not trained again, and
those that were running are continued under their numbers. With one job it then equals one that was not stopped.
Tests: tests/studies/search/test_search.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from composer.studies import Refused
from composer.studies.search.storage import optuna, pruner, sampler, trials_in
from composer.studies.search.subject import Subject
from composer.studies.search.trials import End, Train, Trial

FAILURES_IN_A_ROW = 3
"""So many trials in a row that fail, without their values being to blame, end the search."""


def search(subject: Subject, folder: Path, train: Train, say: Callable[[str], None], jobs: int = 1) -> list[Any]:
    """Train trials, ``jobs`` at a time, until there are as many as the table says. Returns Optuna's, in their order.

    Raises BlueprintError and Refused, for wrong spaces before anything is trained.
    """
    subject.check()
    with trials_in(folder, subject.table, subject.identity) as study:
        _Search(subject, study, train, say).run(jobs)
        found: list[Any] = study.get_trials()
        return found


class _Search:
    """The trials that are left, and the scores of those that ended."""

    def __init__(self, subject: Subject, study: Any, train: Train, say: Callable[[str], None]) -> None:
        self._subject, self._study, self._train, self._say = subject, study, train, say
        self._lock, self._stopped = threading.RLock(), threading.Event()
        steps = sum(run.blueprint.training.env_steps for run in subject.plain)
        study.pruner = pruner(subject.table, steps)
        running = optuna().trial.TrialState.RUNNING
        self._begun = [each for each in study.get_trials(deepcopy=False) if each.state == running]
        self._failures = 0
        if not study.get_trials(deepcopy=False):
            self._begin()

    def _begin(self) -> None:
        present = self._subject.present
        if present is None:
            self._say("the blueprint's own values are outside of the spaces: no trial has them")
        else:
            self._study.enqueue_trial(dict(present))

    def run(self, jobs: int) -> None:
        """Train until no trial is left, or the search is stopped."""
        with ThreadPoolExecutor(jobs) as pool:
            workers = [pool.submit(self._work) for _ in range(jobs)]
            try:
                for each in workers:
                    each.result()
            except BaseException:
                self._stopped.set()
                raise

    def _work(self) -> None:
        try:
            while (trial := self._next()) is not None:
                self._tell(trial, trial.train(self._train, self._stopped.is_set))
        except BaseException:
            self._stopped.set()
            raise

    def _next(self) -> Trial | None:
        with self._lock:
            if self._stopped.is_set():
                return None
            trials, table = optuna().trial, self._subject.table
            if self._begun:
                asked = trials.Trial(self._study, self._begun.pop(0)._trial_id)
                self._say(f"trial {asked.number} goes on: {values_text(asked.params)}")
                return Trial(asked, self._subject)
            waiting = trials.TrialState.WAITING
            number = sum(each.state != waiting for each in self._study.get_trials(deepcopy=False))
            if number >= table.trials:
                return None
            self._study.sampler = sampler(table, number)
            asked = self._study.ask({name: space.distribution for name, space in table.space.items()})
            self._say(f"trial {asked.number}: {values_text(asked.params)}")
            return Trial(asked, self._subject)

    def _tell(self, trial: Trial, end: End) -> None:
        """Write down how a trial ended. One that failed or was stopped stays open: the next search goes on with it."""
        states, number = optuna().trial.TrialState, trial.number
        with self._lock:
            trial.note(end)
            self._failures = self._failures + 1 if end.how == "failed" else 0
            if end.how == "finished":
                self._study.tell(number, end.score)
            elif end.how in ("pruned", "diverged", "invalid"):
                self._study.tell(number, state=states.PRUNED)
            self._say(self._line(number, end))
            if self._failures >= FAILURES_IN_A_ROW:
                raise Refused(f"{FAILURES_IN_A_ROW} trials in a row failed, the last one: {end.why}")

    def _line(self, number: int, end: End) -> str:
        if end.score is None:
            return f"trial {number}: {end.how} {end.why}".rstrip()
        best = self._study.best_trial
        is_best = "the best so far" if best.number == number else f"best: {best.value:,.4g} in trial {best.number}"
        return f"trial {number}: {end.score:,.4g}; {is_best}"


def values_text(values: Mapping[str, Any]) -> str:
    """``optimizers.actor.learning_rate=0.0003, width=64``, with numbers to four digits."""
    shown = ((name, f"{value:.4g}" if isinstance(value, float) else value) for name, value in values.items())
    return ", ".join(f"{name}={value}" for name, value in shown)
