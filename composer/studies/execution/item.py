"""A run of a study while its driver works on it, and the place of its files.

Tests: tests/studies/execution/test_engine.py.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from composer.spec.interval import mean_text
from composer.spec.metrics import Metric
from composer.spec.processors import THREADS
from composer.studies.execution.directories import Found
from composer.studies.execution.ledger import Entry, directory_of
from composer.studies.execution.outcome import Outcome
from composer.studies.execution.progress import Progress, Status
from composer.studies.execution.work import Member, Work
from composer.studies.study.points import StudyRun
from composer.training.runs.checkpoint import Checkpoints
from composer.training.runs.membership import STUDY

ANSWERS, LOGS, CLAIMS = "answers", "logs", ".claims"
_LONGEST_NAME = 80
TRIES = 3
"""A run whose process ends early and often is started again as long as it gets on, and this often where it does not."""


@dataclass
class Item:
    """A run of a study, and where it stands."""

    run: StudyRun
    title: str
    versions: Mapping[str, str | None]
    """Versions of the libraries that it would be trained with now."""
    state: str = "waiting"
    """As ``Status.state``."""
    avoided: list[Path] = field(default_factory=list)
    """Run directories that could not be resumed."""
    directory: Path | None = None
    outcome: Outcome | None = None
    older: frozenset[Path] = frozenset()
    """Run directories of these settings before it was started."""
    reached: int = -1
    """The step of its newest checkpoint when it was last started without one that was newer."""
    tries: int = 0
    is_unwanted: bool = False
    """Whether it was stopped early, not to be continued."""
    progress: Progress | None = None
    _began: tuple[float, int] | None = None
    pace: tuple[int, float] = (0, 0.0)
    """Environment steps and seconds that it was trained for."""

    @property
    def key(self) -> str:
        """The digest of its settings."""
        return self.run.key

    @property
    def env_steps(self) -> int:
        """Its length."""
        return self.run.blueprint.training.env_steps

    @property
    def member(self) -> Member:
        """As a work has it."""
        return Member(self.title, self.key, self.env_steps)

    def facts(self) -> dict[str, Any]:
        """The row ``planned`` of the ledger."""
        run = self.run
        values = dict(run.point.values)
        return {"name": self.title, "arguments": [*run.arguments], "env_steps": self.env_steps, "point": values}

    def start(self, older: Sequence[Path]) -> None:
        """Note that a process was started or queued for it."""
        self.state, self.older, self.progress, self._began = "running", frozenset(older), None, None

    def give_up(self, is_hopeless: bool) -> bool:
        """Whether it is hopeless, and was not before."""
        is_new = is_hopeless and not self.is_unwanted
        self.is_unwanted |= is_hopeless
        return is_new

    def may_go_on(self, directory: Path | None) -> bool:
        """Whether it is started again, after its process has ended early: as long as it gets on."""
        steps = Checkpoints(directory).steps() if directory is not None else []
        newest = steps[-1] if steps else -1
        self.tries = 0 if newest > self.reached else self.tries + 1
        self.reached = newest
        return self.tries < TRIES

    def look(self, directory: Path | None) -> None:
        """Read how far it is, in ``directory`` where that is known by now."""
        if directory is None:
            return
        if self.progress is None or self.directory != directory:
            self.directory = directory
            self.progress = Progress(directory, self.run.blueprint.environment.metric)
        self.progress.read()
        self.progress.read_times()
        if self._began is None:
            self._began = (time.monotonic(), self.progress.done)
        began, first = self._began
        self.pace = (max(0, self.progress.done - first), time.monotonic() - began)

    def status(self) -> Status:
        """For people."""
        done, values, left = 0, list[float](), math.nan
        if self.progress is not None:
            done, values = self.progress.done, self.progress.values
            steps, seconds = self.pace
            left = self.progress.seconds_left(time.time())
            if math.isnan(left) and steps:
                left = (self.env_steps - done) * seconds / steps
        if self.state == "finished":
            done = self.env_steps
        left = left if self.state == "running" else math.nan
        message, seeds = self.outcome.message if self.outcome else "", len(self.run.blueprint.seeds)
        where = self.directory, message, seeds, self.metric
        return Status(self.title, self.state, self.env_steps, done, values, left, *where)

    @property
    def metric(self) -> Metric:
        """Of its evaluations."""
        return self.run.blueprint.environment.evaluation_metric()

    def ended_text(self, kind: str, row: Mapping[str, Any]) -> str:
        """How it ended: its result, or the exit code and the reason."""
        if kind == "finished":
            values, metric = [*row.get("returns", {}).values()], self.metric
            shown = mean_text(values, (metric.low, metric.high), metric.unit)
            return f"{self.title}: finished: {metric.word} {shown}" if values else f"{self.title}: finished"
        message = row.get("message") or ""
        why = f": {message.splitlines()[0]}" if message else ""
        return f"{self.title}: {kind} (exit code {row['exit_code']}){why}"

    def conclude(self, outcome: Outcome) -> None:
        """Note how it ended, and its last evaluation."""
        self.outcome, self.state, self.directory = outcome, outcome.status, outcome.directory
        self.look(outcome.directory)


@dataclass(frozen=True)
class Place:
    """The folder of a study, and the directory of its runs."""

    folder: Path
    runs_dir: Path
    name: str
    threads: int
    """Of each process, where the blueprint leaves it to the machine."""

    @property
    def claims(self) -> Path:
        """Locks of runs, shared by the studies whose folders lie beside this one."""
        return self.folder.parent / CLAIMS

    def work(self, items: Sequence[Item], arguments: Sequence[str], start: int) -> Work:
        """The work that trains ``items`` in one process; ``start`` numbers the starts of its first run."""
        first, names = items[0], ",".join(item.title for item in items)
        slug = re.sub(r"[^\w.=+-]+", "_", names)[:_LONGEST_NAME].strip("_")
        stem = f"{slug}-{first.key[:8]}-{start}"
        points = {
            item.key: {"label": item.run.point.name, "point": dict(item.run.point.values)}
            for item in items
            if item.run.point.values
        }
        about = {"name": self.name, "folder": str(self.folder), "points": points}
        return Work(
            tuple(item.member for item in items),
            tuple(arguments),
            self.runs_dir,
            self.claims,
            self.folder / ANSWERS / f"{stem}.json",
            self.folder / LOGS / f"{stem}.log",
            first.versions,
            tuple(first.avoided),
            {STUDY: json.dumps(about), THREADS: str(self.threads)},
        )

    def reopened(self, started: Mapping[str, Any]) -> Work:
        """A work that an earlier driver has started, as far as its answer needs it."""
        members = tuple(Member(*each) for each in started["members"])
        stem = Path(started["answer"]).name
        log = self.folder / LOGS / f"{Path(stem).stem}.log"
        return Work(members, (), self.runs_dir, self.claims, self.folder / ANSWERS / stem, log)


def lost(item: Item, every: Sequence[Found], entry: Entry, folder: Path) -> Iterator[str]:
    """Why a run that was trained before, in the directories ``every``, is trained again."""
    for each in every:
        if each.changed and each.state in ("finished", "diverged"):
            other = f"but under other versions ({each.changed})"
            yield f"{item.title}: {each.state} in {each.path}, {other}: it is trained anew"
    if not every and entry.ended is not None and entry.ended["type"] == "finished" and not item.avoided:
        was = directory_of(folder, entry.ended)
        yield f"{item.title}: the ledger says finished in {was}, which is gone: it is trained again"
