"""Copy a run's journal into a tracking store: no row is lost and none stored twice, whichever process is killed.

``upload.json`` records rows as sent before they are sent, and as acknowledged after the store has accepted them. Rows
between the two marks may be in the store or not: they are compared with it before they are sent again. Everything else
follows from the journal, which every start reads from its first row.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from composer.spec.run_files import read_table
from composer.tracking.base import Destination
from composer.tracking.journal import read
from composer.tracking.journal_points import JournalPoints
from composer.tracking.media.sending import MediaSender
from composer.tracking.models.logged import FOLDER_TAG, RUN_TAG
from composer.tracking.page.facts import PageFacts
from composer.tracking.page.names import DEFAULT, headline
from composer.tracking.points import PARENT, Point, flatten
from composer.tracking.records import (
    ARTIFACTS,
    EVERYTHING,
    JOURNAL,
    RUN,
    TIMING,
    RecordDamaged,
    StoredRun,
    Tracking,
    Upload,
)
from composer.tracking.store import Store
from composer.tracking.stored_runs import find_or_create

BATCH_POINTS: Final = 4000
EVENTS: Final = "events.jsonl"
DATASET: Final = "what it learns from is not there"
FILES: Final = "its files are not there"
PAGE: Final = "its page lacks views"
MODELS: Final = "its checkpoints are no models there"
CHECKPOINTS: Final = "checkpoints"


def read_facts(run_dir: Path) -> dict[str, Any]:
    """The content of ``run.json``. Raises OSError, ValueError, and RecordDamaged where it lacks what is sent."""
    facts = read_table(run_dir / RUN)
    if absent := [key for key in ("name", "run_id", "seeds") if key not in facts]:
        raise RecordDamaged(f"{run_dir / RUN} has no {absent[0]!r}: it is damaged, or of another version of composer")
    return facts


class Delivery:
    """Delivers one run to one store. Any call may raise; then make a new object and continue."""

    def __init__(
        self, run_dir: Path, tracking: Tracking, destination: Destination, store: Store, *, compares_all: bool = False
    ) -> None:
        """``store`` is the open one of ``destination``.

        ``compares_all`` compares every row with the store, also those that it has acknowledged.
        """
        self._run_dir = run_dir
        self._tracking = tracking
        self._destination = destination
        self._run = read_facts(run_dir)
        self._store = store
        self._stored, self._upload = self._connect(compares_all)
        acknowledged = self._upload.acknowledged
        seeds, ranges, metric = self._run["seeds"], tracking.bounds(), tracking.headline or DEFAULT
        tracker = tracking.tracker()
        self._journals = {
            name: JournalPoints(run_dir / name, tracker.points(seeds, ranges, metric), acknowledged[name])
            for name in (TIMING, JOURNAL)
        }
        self._known: dict[tuple[str, str], set[int]] = {}
        self._media = MediaSender(run_dir, self._store, self._stored.run_id, compares_all=compares_all)
        self._describe()
        self._arrange_page()

    @property
    def started_at(self) -> float:
        """When ``run.json`` was written, in seconds since the epoch."""
        return (self._run_dir / RUN).stat().st_mtime

    def _connect(self, compares_all: bool) -> tuple[StoredRun, Upload]:
        """Find or create the runs in the store, and load the progress of the upload."""
        uri = self._destination.shown
        stored, upload = StoredRun.load(self._run_dir), Upload.load(self._run_dir)
        states = [self._store.revive(each) for each in stored.ids()] if stored and stored.tracking_uri == uri else []
        if stored is not None and states and all(states):
            if compares_all or upload is None or upload.tracking_uri != uri:
                upload = Upload(uri, sent={JOURNAL: EVERYTHING, TIMING: EVERYTHING})
            if "restored" in states:
                upload.notes.append(f"{states.count('restored')} of its runs had been deleted there and are restored")
            return stored, upload
        start = int(self.started_at * 1000)
        stored, found = find_or_create(self._store, self._tracking, self._run, uri, start)
        sent = EVERYTHING if found else 0
        upload = Upload(uri, sent={JOURNAL: sent, TIMING: sent})
        if states:
            upload.notes.append("its runs were no longer there and are made anew")
        upload.save(self._run_dir)
        stored.save(self._run_dir)
        return stored, upload

    def _describe(self) -> None:
        """Mark the runs as running; log parameters, files and dataset once."""
        for run_id in self._stored.ids():
            if self._upload.status != "RUNNING":
                self._store.set_status(run_id, "RUNNING")
            if not self._upload.described:
                self._store.log_parameters(run_id, flatten(self._tracking.parameters))
        if not self._upload.described:
            self._send_files(self._run_dir / name for name in ARTIFACTS)
            self._log_dataset()
        self._upload.described, self._upload.status, self._upload.error = True, "RUNNING", None
        self._upload.save(self._run_dir)

    def _log_dataset(self) -> None:
        """Say what the runs learn from; where that fails, rows are sent all the same, and it is tried at the end."""
        dataset, notes = self._tracking.dataset, self._upload.notes
        notes[:] = [note for note in notes if not note.startswith(DATASET)]
        if dataset is None:
            return
        try:
            self._store.log_dataset(self._stored.ids(), dataset)
        except Exception as error:  # Of a store or a network.
            notes.append(f"{DATASET}: {self._store.why(error)}")

    def _arrange_page(self) -> None:
        """Prepare the page on which people see the run; where that fails, rows are sent all the same.

        At the start and at the end: runs that start together may undo what the others write.
        """
        tracking, notes = self._tracking, self._upload.notes
        notes[:] = [note for note in notes if not note.startswith(PAGE)]
        try:
            facts = PageFacts.of(tracking.headline, tracking.metrics, tracking.tags)
            self._store.arrange(self._stored.experiment_id, self._stored.ids(), facts)
        except Exception as error:  # Of a store or a network.
            notes.append(f"{PAGE}: {self._store.why(error)}")
            self._upload.save(self._run_dir)

    def step(self) -> bool:
        """Send one batch of waiting rows; False where none wait."""
        batch: list[tuple[Point, int, bool]] = []
        marks: dict[str, int] = {}
        room = BATCH_POINTS
        # The journal first, so that the timing rows of the same steps can be read after it.
        for name in (JOURNAL, TIMING):
            self._journals[name].pull(BATCH_POINTS)
        times, now = self._journals[TIMING].times, int(time.time() * 1000)
        for name in (JOURNAL, TIMING):
            for number, points in self._journals[name].take(room):
                uncertain = number <= self._upload.sent[name]
                batch += [(point, times.get(point.step, now), uncertain) for point in points]
                marks[name] = number
                room -= len(points)
        if not marks:
            return False
        self._upload.sent |= {name: max(number, self._upload.sent[name]) for name, number in marks.items()}
        self._upload.save(self._run_dir)
        self._send(batch)
        self._upload.acknowledged |= marks
        self._upload.save(self._run_dir)
        return True

    def _send(self, batch: list[tuple[Point, int, bool]]) -> None:
        by_run: dict[str, list[tuple[Point, int]]] = defaultdict(list)
        for point, moment, uncertain in batch:
            run_id = self._run_id(point.run)
            if not (uncertain and point.step in self._steps(run_id, point.name)):
                by_run[run_id].append((point, moment))
        for run_id, points in by_run.items():
            self._store.log_points(run_id, points)

    def _run_id(self, run: str) -> str:
        return self._stored.run_id if run == PARENT else self._stored.children[run]

    def _steps(self, run_id: str, name: str) -> set[int]:
        # Queried once: this delivery adds each point once.
        if (run_id, name) not in self._known:
            self._known[run_id, name] = self._store.steps(run_id, name)
        return self._known[run_id, name]

    def send_system(self, points: list[tuple[Point, int]]) -> None:
        """Send samples of the machine to the parent run; no journal has them."""
        if points:
            self._store.log_points(self._stored.run_id, points)

    def send_media(self, *, is_last: bool = False, problem: str | None = None) -> None:
        """Send pictures and films that have changed; after the rows, since a store may refuse them.

        ``problem`` says why there are fewer than expected.
        """
        is_new = problem is not None and problem not in self._upload.notes
        self._upload.notes += [str(problem)] if is_new else []
        if self._media.send(self._upload.notes, is_last=is_last) or is_new:
            self._upload.save(self._run_dir)

    def end(self, status: str, end_time: int | None) -> None:
        """Set the runs' final status, children first. Without ``end_time`` it is the time of the last timing row."""
        moment = end_time or max(self._journals[TIMING].times.values(), default=int(time.time() * 1000))
        self._send_events()
        if any(note.startswith(DATASET) for note in self._upload.notes):
            self._log_dataset()
        self._send_models()
        self._arrange_page()
        for run_id in reversed(self._stored.ids()):
            self._store.set_status(run_id, status, moment)
        self._upload.status, self._upload.error = status, self.problem
        self._upload.save(self._run_dir)

    def _send_models(self) -> None:
        """Make the kept checkpoints models of the store; where that fails, rows are there all the same."""
        folder, notes = self._run_dir / CHECKPOINTS, self._upload.notes
        notes[:] = [note for note in notes if not note.startswith(MODELS)]
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        try:
            where = self._run_dir.resolve()
            tags = self._tracking.tags | {
                RUN_TAG: str(self._run["run_id"]),
                FOLDER_TAG: f"{where.parent.name}/{where.name}",
            }
            metric = headline(self._tracking.headline or DEFAULT).name
            self._store.log_models(self._stored.experiment_id, self._stored.run_id, metric, names, tags)
        except Exception as error:  # Of a store or a network.
            notes.append(f"{MODELS}: {self._store.why(error)}")

    def _send_events(self) -> None:
        notes = []
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / EVENTS
            with path.open("w", encoding="utf-8") as file:
                for row in read(self._run_dir / JOURNAL):
                    if row["type"] == "event":
                        file.write(json.dumps(row) + "\n")
                        notes += [f"{row['intervention']}: {row['why']}"] if row["name"] == "never_fired" else []
            lacks = any(note.startswith(FILES) for note in self._upload.notes)
            files = [self._run_dir / name for name in ARTIFACTS] if lacks else []
            self._send_files([*files, path] if path.stat().st_size else files)
        if notes:
            self._store.set_tag(self._stored.run_id, "composer.never_fired", "; ".join(notes))

    def _send_files(self, paths: Iterable[Path]) -> None:
        """Send files that are there; where they cannot be sent, rows are all the same, and it is tried at the end."""
        notes = self._upload.notes
        notes[:] = [note for note in notes if not note.startswith(FILES)]
        try:
            for path in paths:
                if path.is_file():
                    self._store.log_file(self._stored.run_id, path)
        except Exception as error:  # Of a disk, a store, a network or the client of a cloud.
            notes.append(f"{FILES}: {self._store.why(error)}")

    @property
    def problem(self) -> str | None:
        """Why reading a journal stopped before its end; None where it did not."""
        return next((journal.problem for journal in self._journals.values() if journal.problem), None)
