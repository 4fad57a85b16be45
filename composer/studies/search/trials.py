"""One trial of a search: its runs are trained, watched, perhaps stopped, and scored.

Tests: tests/studies/search/test_search.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from composer.blueprint import BlueprintError
from composer.studies.execution.engine import Outcome
from composer.studies.search.objective import SoFar, final_score, reports
from composer.studies.search.subject import Subject
from composer.studies.study.points import StudyRun
from composer.tracking.records import JOURNAL
from composer.training.runs.results import Series, read_metrics

How = Literal["finished", "pruned", "diverged", "invalid", "failed", "stopped"]
OF_CODE: dict[int, How] = {5: "diverged", 2: "invalid", 129: "stopped", 130: "stopped", 143: "stopped"}
"""What the exit code of a run says of its trial; the values are to blame for the first two."""

Watch = Callable[[StudyRun, Path], str | None]
"""Called with a run and its directory while it trains; the reason why it must be stopped, or None."""


class Train(Protocol):
    """Trains the runs of a trial: the engine of studies, with its other arguments filled in."""

    def __call__(self, runs: Sequence[StudyRun], number: int | None, watch: Watch) -> list[Outcome]:
        """How each run ended; ``number`` is that of the trial."""


class End(NamedTuple):
    """How a trial ended."""

    how: How
    why: str = ""
    score: float | None = None
    """Of a finished trial."""
    directories: tuple[str, ...] = ()


class Trial:
    """A trial that is trained. ``asked`` is Optuna's, which perhaps has reports from before."""

    def __init__(self, asked: Any, subject: Subject) -> None:
        self.number: int = asked.number
        self._asked, self._subject = asked, subject
        self._runs: list[StudyRun] = []
        self._found: dict[str, tuple[int, Series | None]] = {}
        """Size of the journal, and the metric in it, by key of the run."""
        self._finished: set[str] = set()
        self._lock = threading.Lock()
        self._reported = set(asked.study.get_trials(deepcopy=False)[self.number].intermediate_values)
        self._pruned: str | None = None

    def train(self, train: Train, is_stopped: Callable[[], bool]) -> End:
        """Train its runs and return how it ended."""
        try:
            self._runs = self._subject.runs(self._asked.params, self.number)
        except BlueprintError as error:
            return End("invalid", str(error))
        if self._reported:  # It was perhaps killed after the report on which it was to be stopped.
            self._judge(max(self._reported))
        if self._pruned:
            return End("pruned", self._pruned)

        def watch(run: StudyRun, directory: Path) -> str | None:
            return "the search was stopped" if is_stopped() else self._watch(run, directory)

        outcomes = train(self._runs, self.number, watch)
        for each in outcomes:
            if each.directory is not None:
                self._finished |= set() if each.exit_code else {each.run.key}
                self._watch(each.run, each.directory)
        return self._end(outcomes)

    def note(self, end: End) -> None:
        """Keep how it ended with Optuna's trial, for tables."""
        for name, value in (("how", end.how), ("why", end.why), ("runs", list(end.directories))):
            self._asked.set_user_attr(name, value)

    def _end(self, outcomes: Sequence[Outcome]) -> End:
        where = tuple(str(each.directory) for each in outcomes if each.directory is not None)
        if self._pruned:
            return End("pruned", self._pruned, None, where)
        by_code = {each.exit_code: each.message for each in reversed(outcomes) if each.exit_code}
        for code in [*filter(by_code.__contains__, OF_CODE), *by_code]:
            return End(OF_CODE.get(code, "failed"), by_code[code] or f"exit code {code}", None, where)
        score = final_score(self._so_far())
        if score is None:
            return End("failed", f"a run has no finite {self._subject.table.metric} at its end", None, where)
        return End("finished", "", score, where)

    def _watch(self, run: StudyRun, directory: Path) -> str | None:
        """Report the scores that are new, until one is hopeless; the reason why the trial must be stopped."""
        with self._lock:
            self._read(run, directory)
            total = sum(each.blueprint.training.env_steps for each in self._runs)
            for step, score in reports(self._so_far()):
                if self._pruned is None and step not in self._reported and step < total:
                    self._reported.add(step)
                    self._asked.report(score, step)
                    self._judge(step)
            return self._pruned

    def _judge(self, step: int) -> None:
        if self._asked.should_prune():
            self._pruned = f"at step {step:,}"

    def _read(self, run: StudyRun, directory: Path) -> None:
        """Read a journal that has grown."""
        journal, metric = directory / JOURNAL, self._subject.table.metric
        size = journal.stat().st_size if journal.exists() else 0
        if size and size != self._found.get(run.key, (0,))[0]:
            series = read_metrics(journal, self._subject.seeds, only=metric).get(metric)
            self._found[run.key] = size, series

    def _so_far(self) -> list[SoFar]:
        found = ((run, self._found.get(run.key, (0, None))[1]) for run in self._runs)
        return [SoFar(series, run.blueprint.training.env_steps, run.key in self._finished) for run, series in found]
