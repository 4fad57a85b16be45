"""One trial of a search: its runs are given out, watched, perhaps given up, and scored.

Tests: tests/studies/search/test_search.py.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any, Literal, NamedTuple

from composer.studies.execution.outcome import Outcome
from composer.studies.search.objective import SoFar, final_score, reports
from composer.studies.search.subject import Subject
from composer.studies.study.points import StudyRun
from composer.tracking.records import JOURNAL
from composer.training.runs.results import Series, read_metrics

How = Literal["finished", "pruned", "diverged", "invalid", "failed"]
OF_CODE: dict[int, How] = {5: "diverged", 2: "invalid"}
"""What the exit code of a run says of its trial, where the values are to blame."""


class End(NamedTuple):
    """How a trial ended."""

    how: How
    why: str = ""
    score: float | None = None
    """Of a finished trial."""


class Trial:
    """A trial that is trained. ``asked`` is Optuna's, which perhaps has reports from before."""

    def __init__(self, asked: Any, subject: Subject) -> None:
        """Make its runs; raises BlueprintError where the blueprint cannot have its values."""
        self.number: int = asked.number
        self.runs = subject.runs(asked.params, self.number)
        self._waiting = deque(self.runs)
        self._given: list[StudyRun] = []
        self._asked, self._subject = asked, subject
        self._outcomes: dict[str, Outcome] = {}
        self._found: dict[str, tuple[int, Series | None]] = {}
        """Size of the journal, and the metric in it, by key of the run."""
        self._reported = set(asked.study.get_trials(deepcopy=False)[self.number].intermediate_values)
        self._pruned = ""
        if self._reported:  # It was perhaps killed after the report on which it was to be stopped.
            self._judge(max(self._reported))

    def has(self, key: str) -> bool:
        """Whether a run of settings with this digest is one of its."""
        return any(run.key == key for run in self.runs)

    def give(self) -> StudyRun | None:
        """The next run to train; None where all are given out."""
        if not self._waiting:
            return None
        self._given.append(self._waiting.popleft())
        return self._given[-1]

    def is_hopeless(self, run: StudyRun, directory: Path) -> bool:
        """Report the scores that are new, until one is hopeless; whether one was."""
        self._read(run, directory)
        total = sum(each.blueprint.training.env_steps for each in self.runs)
        for step, score in reports(self._so_far()):
            if not self._pruned and step not in self._reported and step < total:
                self._reported.add(step)
                self._asked.report(score, step)
                self._judge(step)
        return bool(self._pruned)

    def add(self, outcome: Outcome) -> None:
        """Take up how one of its runs ended."""
        self._outcomes[outcome.run.key] = outcome
        if outcome.directory is not None:
            self.is_hopeless(outcome.run, outcome.directory)

    def end(self) -> End | None:
        """How it ended; None as long as it trains, or has runs to train that matter."""
        codes = {each.exit_code: each.message for each in reversed(self._outcomes.values()) if each.exit_code}
        if self._pruned or codes:
            self._waiting.clear()
        if self._waiting or any(run.key not in self._outcomes for run in self._given):
            return None
        if self._pruned:
            return End("pruned", self._pruned)
        for code in (*filter(codes.__contains__, OF_CODE), *codes):
            return End(OF_CODE.get(code, "failed"), codes[code] or f"exit code {code}")
        score = final_score(self._so_far())
        if score is None:
            return End("failed", f"a run has no finite {self._subject.metric} at its end")
        return End("finished", "", score)

    def note(self, end: End) -> None:
        """Keep how it ended with Optuna's trial, for tables."""
        where = [str(each.directory) for each in self._outcomes.values() if each.directory is not None]
        for name, value in (("how", end.how), ("why", end.why), ("runs", where)):
            self._asked.set_user_attr(name, value)

    def _judge(self, step: int) -> None:
        if self._asked.should_prune():
            self._pruned = f"at step {step:,}"

    def _read(self, run: StudyRun, directory: Path) -> None:
        """Read a journal that has grown."""
        journal, metric = directory / JOURNAL, self._subject.metric
        size = journal.stat().st_size if journal.exists() else 0
        if size and size != self._found.get(run.key, (0,))[0]:
            series = read_metrics(journal, run.blueprint.seeds, only=metric).get(metric)
            self._found[run.key] = size, series

    def _so_far(self) -> list[SoFar]:
        finished = {key for key, each in self._outcomes.items() if not each.exit_code}
        found = ((run, self._found.get(run.key, (0, None))[1]) for run in self.runs)
        return [SoFar(series, run.blueprint.training.env_steps, run.key in finished) for run, series in found]
