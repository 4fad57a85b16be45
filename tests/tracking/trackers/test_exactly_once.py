"""Trackers of files: wherever an uploader is killed, also in the middle of a write, the next one completes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from stores import READERS, is_whole, once, tracked_by
from tracking_run import SEEDS, append, rows, timing

from composer.tracking import delivery as module
from composer.tracking.base import Tracker
from composer.tracking.delivery import Delivery
from composer.tracking.records import JOURNAL, TIMING, Record, RunDescription, StoredRun, Tracking, Upload
from composer.tracking.uploader import Uploader, sync


class Killed(BaseException):
    """Stands for ``kill -9`` at one write."""


class Writes:
    """Counts the writes of records and files, at one of which the process ends, with ``share`` of it written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number, self.stop_at, self.share = 0, 0, 0.0
        save, replace, pwrite = Record.save, Path.replace, os.pwrite
        monkeypatch.setattr(Record, "save", lambda record, folder: self.call() or save(record, folder))
        monkeypatch.setattr(Path, "replace", lambda path, target: self.call() or replace(path, target))

        def write(file: int, content: bytes, offset: int) -> int:
            try:
                self.call()
            except Killed:
                pwrite(file, bytes(content[: int(len(content) * self.share)]), offset)
                raise
            return pwrite(file, content, offset)

        monkeypatch.setattr(os, "pwrite", write)

    def call(self) -> None:
        """One write is about to be made."""
        self.number += 1
        if self.number == self.stop_at:
            raise Killed


def deliver(run_dir: Path, status: str = "FINISHED") -> None:
    """What an uploader does of a run that has ended."""
    tracking = Tracking.load(run_dir)
    assert tracking is not None
    destination = tracking.destination(run_dir)
    with tracking.tracker().opened(destination) as store:
        found = Delivery(run_dir, tracking, destination, store)
        while found.step():
            pass
        found.end(status, 5)


def forget(run_dir: Path) -> None:
    for record in (StoredRun, Upload):
        (run_dir / record.file).unlink(missing_ok=True)


KINDS = [pytest.param(kind, marks=[pytest.mark.slow] if kind == "wandb" else []) for kind in READERS]


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_at_any_write_the_next_uploader_completes_the_files(
    run_dir: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone kills an uploader of W&B, whose program takes a second for each of its runs."""
    tracked_by(run_dir, kind)
    append(run_dir / JOURNAL, rows())
    append(run_dir / TIMING, timing(), clock=lambda: 7.0)
    monkeypatch.setattr(module, "BATCH_POINTS", 50)
    writes = Writes(monkeypatch)
    deliver(run_dir)
    assert is_whole(run_dir, kind) and writes.number > 20
    for number in range(1 if kind != "wandb" else writes.number - 9, writes.number + 1):
        forget(run_dir)
        (run_dir.parents[1] / kind).rename(run_dir.parents[1] / f"{kind}-{number}")
        writes.number, writes.stop_at, writes.share = 0, number, number % 4 / 3
        with pytest.raises(Killed):
            deliver(run_dir)
        deliver(run_dir)
        assert is_whole(run_dir, kind), f"stopped at write {number}"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "tensorboard"])
def test_a_killed_process_loses_nothing_and_repeats_nothing(run_dir: Path, kind: str) -> None:
    """Alone kills the process itself, at three moments that nothing chose."""
    names = [f"loss/{number}" for number in range(40)]
    journal = [
        {"type": "metrics", "env_step": step, "seed": seed, "metrics": {name: step / 4 + seed for name in names}}
        for step in range(120)
        for seed in SEEDS
    ]
    append(run_dir / JOURNAL, journal)
    tracker, mark = Tracker.kinds()[kind](), -1
    for _ in range(3):
        uploader = Uploader.start(run_dir, tracker, RunDescription(), run_dir.parent)
        process = uploader._process
        assert process is not None
        while (upload := Upload.load(run_dir)) is None or sum(upload.sent.values()) <= min(mark, len(journal) - 1):
            assert process.poll() is None
        process.kill()
        process.wait()
        mark = sum(upload.sent.values())
    report = Uploader.start(run_dir, tracker, RunDescription(), run_dir.parent).finish("FINISHED", timeout=600)
    found = once(run_dir, kind)
    children = {
        (str(row["seed"]), name, row["env_step"]): value for row in journal for name, value in row["metrics"].items()
    }
    assert report.pending == 0 and {key: found[key] for key in children} == children
    assert len(found) == len(children) * (1 if kind == "csv" else 3 / 2)  # and means over seeds


@pytest.mark.parametrize("kind", READERS)
def test_a_run_that_continues_adds_its_rows_and_sync_mends_what_was_deleted(run_dir: Path, kind: str) -> None:
    tracked_by(run_dir, kind)
    append(run_dir / JOURNAL, rows(0, 5))
    append(run_dir / TIMING, timing(0, 5))
    deliver(run_dir, "KILLED")
    assert 0 < len(once(run_dir, kind))
    append(run_dir / JOURNAL, rows(5), resume_at=(run_dir / JOURNAL).stat().st_size)
    append(run_dir / TIMING, timing(5), resume_at=(run_dir / TIMING).stat().st_size)
    deliver(run_dir)
    assert is_whole(run_dir, kind)
    for path in (run_dir.parents[1] / kind).rglob("*"):
        if path.is_file():
            path.unlink()
    assert sync(run_dir).pending == 0 and is_whole(run_dir, kind)
    files = [path for path in (run_dir.parents[1] / kind).rglob("*.*") if path.is_file() and path.name != "run.json"]
    before = {path: path.read_bytes() for path in files}
    assert sync(run_dir).is_complete
    assert {path: path.read_bytes() for path in before} == before
