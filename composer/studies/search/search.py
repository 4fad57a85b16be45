"""``composer search``: trials choose values of a blueprint's keys, the first ones by chance, later ones from scores.

A search that was stopped or killed goes on with the same command: trials that had ended are not trained again, and
those that were running are continued under their numbers. With one job it then equals one that was not stopped.
Tests: tests/studies/search/test_search.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from composer.blueprint import BlueprintError
from composer.studies import Refused
from composer.studies.execution.feed import Feed
from composer.studies.execution.outcome import Outcome
from composer.studies.search.storage import optuna, pruner, sampler, trials_in
from composer.studies.search.subject import Subject
from composer.studies.search.trials import End, Trial
from composer.studies.study.points import StudyRun

FAILURES_IN_A_ROW = 3
"""So many trials in a row that fail, without their values being to blame, end the search."""


class Train(Protocol):
    """The engine of studies, with its other arguments filled in."""

    def __call__(self, runs: Sequence[StudyRun], *, feed: Feed | None = None) -> list[Outcome]:
        """Train ``runs`` and those of ``feed``."""


def search(subject: Subject, folder: Path, train: Train, say: Callable[[str], None]) -> list[Any]:
    """Train trials until there are as many as the table says. Returns Optuna's, in their order.

    Raises BlueprintError and Refused, for wrong spaces before anything is trained.
    """
    subject.check()
    with trials_in(folder, subject.table, subject.identity) as study:
        train((), feed=Search(subject, study, say))
        found: list[Any] = study.get_trials()
        return found


class Search:
    """The trials, given out one run at a time. Those of the same settings share their runs."""

    def __init__(self, subject: Subject, study: Any, say: Callable[[str], None]) -> None:
        """``study`` is Optuna's, perhaps with trials from before."""
        self._subject, self._study, self._say = subject, study, say
        steps = sum(run.blueprint.training.env_steps for run in subject.plain)
        study.pruner = pruner(subject.table, steps)
        self._states = optuna().trial.TrialState
        self._begun = [each for each in study.get_trials(deepcopy=False) if each.state == self._states.RUNNING]
        self._open: dict[int, Trial] = {}
        self._outcomes: dict[str, Outcome | None] = {}
        """By key of the run; None while it trains."""
        self._failures = 0
        if not study.get_trials(deepcopy=False):
            self._enqueue_present()

    @property
    def is_strict(self) -> bool:
        """Whether trials are ever given up."""
        return self._subject.table.pruner != "none"

    def more(self) -> Sequence[StudyRun]:
        """The next run that is not trained yet, of a trial that is open, else of a new one."""
        while True:
            for trial in [*self._open.values()]:
                while (run := trial.give()) is not None:
                    if run.key not in self._outcomes:
                        self._outcomes[run.key] = None
                        return (run,)
                    if (outcome := self._outcomes[run.key]) is not None:
                        trial.add(outcome)
                self._close(trial)
            if not self._begin():
                return ()

    def gives_up(self, run: StudyRun, directory: Path) -> bool:
        """Whether all trials that train a run are hopeless."""
        return all([trial.is_hopeless(run, directory) for trial in self._open.values() if trial.has(run.key)])

    def ended(self, outcome: Outcome) -> None:
        """Conclude the trials for which this was the last run."""
        self._outcomes[outcome.run.key] = outcome
        for trial in [*self._open.values()]:
            if trial.has(outcome.run.key):
                trial.add(outcome)
                self._close(trial)

    def _enqueue_present(self) -> None:
        present = self._subject.present
        if present is None:
            self._say("the blueprint's own values are outside of the spaces: no trial has them")
        else:
            self._study.enqueue_trial(dict(present))

    def _begin(self) -> bool:
        """Open a trial; False where there are enough."""
        asked = self._ask()
        if asked is None:
            return False
        self._say(f"trial {asked.number}: {values_text(asked.params)}")
        try:
            trial = Trial(asked, self._subject)
        except BlueprintError as error:
            asked.set_user_attr("how", "invalid")
            asked.set_user_attr("why", str(error))
            self._tell(asked.number, End("invalid", str(error)))
            return True
        self._open[trial.number] = trial
        self._close(trial)
        return True

    def _ask(self) -> Any:
        trials, table = optuna().trial, self._subject.table
        if self._begun:
            return trials.Trial(self._study, self._begun.pop(0)._trial_id)
        number = sum(each.state != self._states.WAITING for each in self._study.get_trials(deepcopy=False))
        if number >= table.trials:
            return None
        self._study.sampler = sampler(table, number)
        return self._study.ask({name: space.distribution for name, space in table.space.items()})

    def _close(self, trial: Trial) -> None:
        if (end := trial.end()) is None:
            return
        del self._open[trial.number]
        trial.note(end)
        self._tell(trial.number, end)

    def _tell(self, number: int, end: End) -> None:
        """Write down how a trial ended. One that failed stays open: the next search goes on with it."""
        self._failures = self._failures + 1 if end.how == "failed" else 0
        if end.how == "finished":
            self._study.tell(number, end.score)
        elif end.how != "failed":
            self._study.tell(number, state=self._states.PRUNED)
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
