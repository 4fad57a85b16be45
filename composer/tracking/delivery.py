"""Brings a run's journal into an MLflow store so that no row is lost and none stored twice, whatever is killed when.

Before rows are sent, ``upload.json`` says up to where they will be; after the store has taken them, that they are
acknowledged. Rows between the two marks may be there or not: they are compared with what the store has before they are
sent (again). Everything else follows from the journal, which is read from its first row at every start.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from composer.tracking.base import Destination
from composer.tracking.feed import Feed
from composer.tracking.journal import read
from composer.tracking.mlflow_store import Store
from composer.tracking.points import PARENT, Point, flatten
from composer.tracking.records import ARTIFACTS, EVERYTHING, JOURNAL, RUN, TIMING, Tracking, Upload, Where

POINTS_A_BATCH: Final = 4000
EVENTS: Final = "events.jsonl"


class Delivery:
    """One run's way into one store. Any call may raise; after that, make a new one and go on."""

    def __init__(self, run_dir: Path, tracking: Tracking, destination: Destination) -> None:
        self._run_dir = run_dir
        self._tracking = tracking
        self._destination = destination
        self._run: dict[str, Any] = json.loads((run_dir / RUN).read_bytes())
        self._store = Store(destination)
        self._where, self._upload = self._connect()
        acknowledged = self._upload.acknowledged
        self._feeds = {name: Feed(run_dir / name, self._run["seeds"], acknowledged[name]) for name in (TIMING, JOURNAL)}
        self._known: dict[tuple[str, str], set[int]] = {}
        self._describe()

    @property
    def started_at(self) -> float:
        """When the run directory's ``run.json`` was written, in seconds since the epoch."""
        return (self._run_dir / RUN).stat().st_mtime

    def _connect(self) -> tuple[Where, Upload]:
        """Find or create the runs, and what is known of their contents."""
        uri = self._destination.shown
        where, upload = Where.load(self._run_dir), Upload.load(self._run_dir)
        if where is not None and where.tracking_uri == uri and all(map(self._store.exists, where.ids())):
            if upload is None or upload.tracking_uri != uri:
                upload = Upload(uri, sent={JOURNAL: EVERYTHING, TIMING: EVERYTHING})
            return where, upload
        where, found = self._runs()
        sent = EVERYTHING if found else 0
        upload = Upload(uri, sent={JOURNAL: sent, TIMING: sent})
        upload.save(self._run_dir)
        where.save(self._run_dir)
        return where, upload

    def _runs(self) -> tuple[Where, bool]:
        """The parent and its children, and whether any of them was there before."""
        experiment = self._store.experiment(self._tracking.experiment)
        name, variant = self._run["name"], self._run.get("variant")
        title = f"{name} · {variant}" if variant else name
        common = self._tracking.tags | {"composer.run_id": str(self._run["run_id"])}
        created: dict[str, str] = {}
        found = False
        for role in (PARENT, *map(str, self._run["seeds"])):
            identity = {"composer.run_id": common["composer.run_id"], "composer.role": role}
            run_id = self._store.find_run(experiment, identity)
            found = found or run_id is not None
            if run_id is None:
                tags = common | identity
                if role != PARENT:
                    tags |= {"mlflow.parentRunId": created[PARENT], "seed": role}
                shown = title if role == PARENT else f"{title} · seed {role}"
                run_id = self._store.create_run(experiment, shown, tags, int(self.started_at * 1000))
            created[role] = run_id
        parent = created.pop(PARENT)
        return Where(self._destination.shown, experiment, parent, created), found

    def _describe(self) -> None:
        """Mark the runs as running; log parameters and files, once."""
        for run_id in self._where.ids():
            if self._upload.status != "RUNNING":
                self._store.set_status(run_id, "RUNNING")
            if not self._upload.described:
                self._store.log_parameters(run_id, flatten(self._tracking.parameters))
        if not self._upload.described:
            for name in ARTIFACTS:
                if (self._run_dir / name).exists():
                    self._store.log_file(self._where.run_id, self._run_dir / name)
        self._upload.described, self._upload.status, self._upload.error = True, "RUNNING", None
        self._upload.save(self._run_dir)

    def step(self) -> bool:
        """Send one batch of rows, if any wait; whether there were any."""
        batch: list[tuple[Point, int, bool]] = []
        marks: dict[str, int] = {}
        room = POINTS_A_BATCH
        # The journal first: when its rows are read, the timing rows of the same steps are about to be, or have been.
        for name in (JOURNAL, TIMING):
            self._feeds[name].pull(POINTS_A_BATCH)
        times, now = self._feeds[TIMING].times, int(time.time() * 1000)
        for name in (JOURNAL, TIMING):
            for number, points in self._feeds[name].take(room):
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
        return self._where.run_id if run == PARENT else self._where.children[run]

    def _steps(self, run_id: str, name: str) -> set[int]:
        # Asked once: what this delivery itself adds, it adds once.
        if (run_id, name) not in self._known:
            self._known[run_id, name] = self._store.steps(run_id, name)
        return self._known[run_id, name]

    def send_system(self, points: list[tuple[Point, int]]) -> None:
        """Send samples of the machine to the parent run; they are in no journal."""
        if points:
            self._store.log_points(self._where.run_id, points)

    def end(self, status: str, end_time: int | None) -> None:
        """Set the runs' final status, children first. Without an ``end_time``, that of the last timing row."""
        moment = end_time or max(self._feeds[TIMING].times.values(), default=int(time.time() * 1000))
        self._send_events()
        for run_id in reversed(self._where.ids()):
            self._store.set_status(run_id, status, moment)
        self._upload.status, self._upload.error = status, self.problem
        self._upload.save(self._run_dir)

    def _send_events(self) -> None:
        events = [row for row in read(self._run_dir / JOURNAL) if row["type"] == "event"]
        if events:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / EVENTS
                path.write_text("".join(json.dumps(event) + "\n" for event in events))
                self._store.log_file(self._where.run_id, path)

    @property
    def problem(self) -> str | None:
        """What is wrong with a journal, if reading stopped before its end."""
        return next((feed.problem for feed in self._feeds.values() if feed.problem), None)
