"""The driver of a study: one loop that starts works, reads their answers, and writes the ledger.

Tests: tests/studies/execution/test_engine.py, tests/studies/test_sweep_continues.py.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from composer.spec.quantities import counted
from composer.studies.execution import worker
from composer.studies.execution.directories import Found, RunDirectories, chosen
from composer.studies.execution.display import Watch
from composer.studies.execution.feed import Feed
from composer.studies.execution.item import Item, Place, lost
from composer.studies.execution.ledger import Entry, Ledger, name_in
from composer.studies.execution.outcome import Outcome, Unit
from composer.studies.execution.progress import Overview
from composer.studies.execution.versions import versions_of
from composer.studies.execution.work import Launcher, Work, is_claimed, read_answer
from composer.studies.study.points import StudyRun
from composer.training.runs.directory import holder

WAITING_SECONDS = 0.5
"""How often a run that another process trains is looked at."""
POLL_SECONDS = 0.25
JUDGE_SECONDS = 1.0
"""How often runs are looked at that may be stopped early."""


class Driver:
    """Brings the runs of one study to their end."""

    def __init__(
        self,
        runs: Sequence[StudyRun],
        place: Place,
        ledger: Ledger,
        launcher: Launcher,
        watch: Watch,
        title: Callable[[StudyRun], str],
        feed: Feed,
    ) -> None:
        """Nothing is started or looked at yet."""
        self._place, self._ledger, self._launcher, self._watch = place, ledger, launcher, watch
        self._title, self._feed = title, feed
        self._items: dict[str, Item] = {}
        self._add(runs)
        self._directories = RunDirectories(place.runs_dir)
        self._queue: deque[tuple[list[Item], tuple[str, ...]]] = deque()
        self._active: dict[str, Work] = {}
        self._looked, self._judged, self._is_stopping = 0.0, 0.0, False

    def train(self, group: Callable[[Sequence[StudyRun]], Sequence[Unit]]) -> None:
        """Look at what there is, start what is missing, and return when every run has ended."""
        self._begin([*self._items.values()], group)
        self._take_more(group)
        while self._queue or self._active or self._elsewhere():
            self._start()
            self._launcher.wait(min(POLL_SECONDS, WAITING_SECONDS))
            self._read_answers()
            self._look_elsewhere()
            self._judge()
            self._show()
            self._take_more(group)

    def _add(self, runs: Sequence[StudyRun]) -> list[Item]:
        versions = versions_of(runs, is_to_run=True)
        for run in runs:
            self._items.setdefault(run.key, Item(run, self._title(run), versions[run.key]))
        return [self._items[run.key] for run in runs]

    def _begin(self, items: Sequence[Item], group: Callable[[Sequence[StudyRun]], Sequence[Unit]]) -> None:
        """Queue what is missing of runs that were never looked at."""
        self._plan(items)
        self._directories.refresh()
        self._read_left_open(items)
        fresh = [item for item in items if item.state == "waiting" and self._is_fresh(item)]
        for unit in group([item.run for item in fresh]) if fresh else ():
            self._queue.append(([self._items[run.key] for run in unit.runs], unit.arguments))

    def _take_more(self, group: Callable[[Sequence[StudyRun]], Sequence[Unit]]) -> None:
        """Fill free slots with further runs, as long as there are any."""
        while len(self._queue) + len(self._active) + len(self._elsewhere()) < self._launcher.slots:
            if not (runs := self._feed.more()):
                return
            self._begin(self._add(runs), group)

    def _judge(self) -> None:
        """Stop the runs that are not worth their time."""
        if not self._feed.is_strict or time.monotonic() < self._judged + JUDGE_SECONDS:
            return
        self._judged = time.monotonic()
        self._directories.refresh()
        for job, item in [(job, item) for job, work in self._active.items() for item in self._items_of(work)]:
            if (path := self._directory_of(item)) and item.give_up(self._feed.gives_up(item.run, path)):
                self._launcher.stop([job])

    def _items_of(self, work: Work) -> list[Item]:
        return [self._items[member.key] for member in work.members if member.key in self._items]

    def outcome(self, run: StudyRun) -> Outcome:
        """How a run ended, after ``train``."""
        outcome = self._items[run.key].outcome
        assert outcome is not None
        return replace(outcome, run=run)

    def stop(self) -> None:
        """Have everything that trains save itself, and wait for it."""
        self._queue.clear()
        self._is_stopping = True
        if self._active:
            self._watch.note(f"stopping: {counted(len(self._active), 'run')} to be saved")
        self._launcher.stop([*self._active])
        while self._active:
            self._read_answers()
            self._launcher.wait(POLL_SECONDS)

    def _plan(self, items: Sequence[Item]) -> None:
        """Write the runs that the ledger does not know yet into it."""
        for item in items:
            if self._ledger.account.of(item.key).planned is None:
                self._ledger.append("planned", item.key, **item.facts())

    def _elsewhere(self) -> list[Item]:
        return [item for item in self._items.values() if item.state == "elsewhere"]

    def _read_left_open(self, items: Sequence[Item]) -> None:
        """Take up the works that an earlier driver has started and not seen end."""
        works: dict[Path, tuple[Work, Mapping[str, Any]]] = {}
        for item in items:
            entry = self._ledger.account.of(item.key)
            if entry.started is not None and entry.ended is None:
                work = self._place.reopened(entry.started)
                works.setdefault(work.answer, (work, entry.started))
        for work, started in works.values():
            answer, job = read_answer(work.answer), started["job"]
            if answer is not None:
                self._end(work, answer)
            elif started["launcher"] == self._launcher.name and self._launcher.states([job]):
                self._watch.event(f"{work.name}: job {job} of an earlier process goes on")
                self._active[job] = work
                for item in self._items_of(work):
                    item.start(())

    def _is_fresh(self, item: Item) -> bool:
        """Whether no directory of a run is of use; what its directories say of it is done here otherwise."""
        every = [*self._directories.find(item.key, item.env_steps, item.versions, item.avoided)]
        found, entry = chosen(every), self._ledger.account.of(item.key)
        if found is None:
            item.directory = None
            for note in lost(item, every, entry, self._place.folder):
                self._watch.note(note)
            return True
        item.directory = found.path
        if found.state == "held":
            self._wait_for(item, found.path)
        elif found.state == "begun" or not self._ended_before(item, found, entry):
            self._queue.append(([item], item.run.arguments))
        return False

    def _ended_before(self, item: Item, found: Found, entry: Entry) -> bool:
        """Conclude a run that had ended; False of a finished one whose last checkpoint is damaged."""
        known = entry.ended
        if known is not None and (known["type"], name_in(known)) == (found.state, found.path.name):
            answer = {"digest": known.get("digest"), "message": known.get("message", "")}
        else:
            answer = worker.as_found(found)
            if found.state == "finished" and answer["digest"] is None:
                self._watch.note(f"{item.title}: the last checkpoint in {found.path} is damaged; it is made anew")
                return False
            if known is not None and known["type"] != "refused":
                self._watch.note(f"{item.title}: the ledger said {known['type']}: mended")
            self._write_end(item, found.state, found.path, answer)
        code = 0 if found.state == "finished" else 5
        self._watch.event(f"{item.title}: {found.state} before, in {found.path}")
        message = answer.get("message") or ""
        self._conclude(Outcome(item.run, found.state, code, found.path, message, answer.get("digest"), True), item)
        return True

    def _start(self) -> None:
        """Start as many works as there are slots for."""
        works: list[Work] = []
        while self._queue and len(self._active) + len(works) < self._launcher.slots:
            items, arguments = self._queue.popleft()
            work = self._place.work(items, arguments, self._ledger.account.of(items[0].key).starts + 1)
            work.answer.unlink(missing_ok=True)
            works.append(work)
            for item in items:
                item.start(self._directories.of(item.key))
            begun = items[0].directory
            self._watch.event(f"{work.name}: {f'continuing {begun}' if begun else 'training'}")
        for job, work in zip(self._launcher.start(works) if works else (), works, strict=True):
            self._active[job] = work
            members = [list(member) for member in work.members]
            for member in work.members:
                facts = {"launcher": self._launcher.name, "job": job, "answer": work.answer.name, "members": members}
                self._ledger.append("started", member.key, **facts)

    def _read_answers(self) -> None:
        """Deal with the works that have ended, and with the jobs that are gone without an answer."""
        answers = {job: read_answer(work.answer) for job, work in self._active.items()}
        alive = self._launcher.states([job for job, answer in answers.items() if answer is None])
        for job, answer in answers.items():
            if answer is not None or job not in alive:
                work = self._active.pop(job)
                # It may have been written just now.
                self._end(work, answer or read_answer(work.answer) or worker.lost(job))

    def _end(self, work: Work, answer: Mapping[str, Any]) -> None:
        for member, row in worker.rows(work, answer):
            if (item := self._items.get(member.key)) is not None:
                self._end_one(item, row)

    def _end_one(self, item: Item, row: Mapping[str, Any]) -> None:
        status, code = row["status"], row["exit_code"]
        self._directories.refresh()
        directory = Path(row["run"]) if row.get("run") else self._directory_of(item)
        item.directory = directory
        if status == worker.ELSEWHERE:
            self._write_end(item, "elsewhere", directory, row)
            self._wait_for(item, directory)
        elif status == worker.REFUSED and directory is not None:
            self._write_end(item, "refused", directory, row)
            self._watch.note(f"{item.title}: {row['message']}; it is begun anew")
            item.avoided.append(directory)
            item.directory = None
            self._again(item)
        elif status == "interrupted" and item.is_unwanted:
            self._write_end(item, "interrupted", directory, row)
            self._watch.event(f"{item.title}: stopped early")
            self._conclude(Outcome(item.run, "stopped", code, directory, answer=row), item)
        elif (status == "lost" or code in worker.INTERRUPTED) and (self._is_stopping or item.may_go_on(directory)):
            self._write_end(item, "interrupted", directory, row)
            self._again(item)
        else:
            kind = "diverged" if code == 5 else "finished" if status == "finished" else "failed"
            self._write_end(item, kind, directory, row)
            message = row.get("message") or ""
            (self._watch.event if kind == "finished" else self._watch.note)(item.ended_text(kind, row))
            self._conclude(Outcome(item.run, kind, code, directory, message, row.get("digest"), answer=row), item)

    def _write_end(self, item: Item, kind: str, directory: Path | None, row: Mapping[str, Any]) -> None:
        facts = {name: row[name] for name in ("digest", "exit_code", "message") if row.get(name) is not None}
        if directory is not None:
            where = os.path.relpath(directory, self._place.folder)
            facts |= {"directory": where, "hash": self._directories.facts(directory).get("hash")}
        self._ledger.append(kind, item.key, **facts)

    def _conclude(self, outcome: Outcome, item: Item) -> None:
        item.conclude(outcome)
        self._feed.ended(outcome)

    def _again(self, item: Item) -> None:
        """Queue a run once more, as its directories are now."""
        item.state = "waiting"
        if not self._is_stopping and self._is_fresh(item):
            self._queue.append(([item], item.run.arguments))

    def _wait_for(self, item: Item, directory: Path | None) -> None:
        item.state = "elsewhere"
        which = f"process {holder(directory)[0]}, which trains {directory}" if directory else "a process that begins it"
        self._watch.event(f"{item.title}: waiting for {which}")

    def _look_elsewhere(self) -> None:
        """Take up the runs that another process has trained, once it has ended."""
        waiting = self._elsewhere()
        if not waiting or time.monotonic() < self._looked + WAITING_SECONDS:
            return
        self._looked = time.monotonic()
        self._directories.refresh()
        for item in waiting:
            is_held = item.directory is not None and holder(item.directory)[1]
            if not is_held and not is_claimed(self._place.claims, item.key):
                self._again(item)

    def _directory_of(self, item: Item) -> Path | None:
        """The directory in which a run is trained, once it is there."""
        if item.directory is None:
            item.directory = next((path for path in self._directories.of(item.key) if path not in item.older), None)
        return item.directory

    def _show(self) -> None:
        if not self._watch.is_due():
            return
        self._directories.refresh()
        for item in self._items.values():
            if item.state in ("running", "elsewhere"):
                item.look(self._directory_of(item))
        items, slots = self._items.values(), self._launcher.slots
        self._watch.show(Overview([item.status() for item in items], [item.pace for item in items], slots))
