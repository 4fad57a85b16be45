"""The upload as processes: stores that are away or hang, kills on either side, and what the trainer pays."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from tracking_run import SEEDS, append, expected, rows, timing

from composer.tracking import uploader_process
from composer.tracking.base import Destination, NoTracker
from composer.tracking.journal import read
from composer.tracking.locks import lock_exclusive, open_lock
from composer.tracking.mlflow_tracker import MlflowTracker
from composer.tracking.records import JOURNAL, LOCK, LOG, TIMING, Ended, RunDescription, StoredRun, Tracking, Upload
from composer.tracking.uploader import Uploader, UploadReport, sync

# MLflow's own, with the SQLAlchemy that it asks for.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

ROOT = Path(__file__).parents[2]
SECRET = "hunter2"
SAID = RunDescription({"note": "x"}, {"algorithm": "sac", "variant": None})


@pytest.fixture(autouse=True)
def no_store_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def start(run_dir: Path, **fields: Any) -> Uploader:
    tracker = MlflowTracker.model_validate({"pictures": False, **fields})
    return Uploader.start(run_dir, tracker, SAID, run_dir.parent)


def stored(run_dir: Path, where: str = "NOT m.key LIKE 'system/%'") -> list[tuple[str, str, int, float]]:
    """(run, metric, step, value) of the embedded store, duplicates and all."""
    sql = "SELECT t.value, m.key, m.step, m.value FROM metrics m JOIN tags t ON m.run_uuid = t.run_uuid"
    with closing(sqlite3.connect(run_dir.parents[1] / "mlflow" / "mlflow.db")) as connection:
        return connection.execute(f"{sql} AND t.key = 'composer.role' WHERE {where}").fetchall()


def statuses(run_dir: Path) -> set[str]:
    with closing(sqlite3.connect(run_dir.parents[1] / "mlflow" / "mlflow.db")) as connection:
        return {status for (status,) in connection.execute("SELECT status FROM runs")}


def test_a_run_that_continues_keeps_its_parameters(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Uploader, "_spawn", lambda _: None)
    (run_dir / Tracking.file).unlink()
    start(run_dir)
    Uploader.start(run_dir, MlflowTracker(), RunDescription({"note": "y", "more": "z"}), run_dir.parent)
    tracking = Tracking.load(run_dir)
    assert tracking is not None and tracking.parameters == {"note": "x"}


def test_a_store_that_hangs_costs_the_trainer_nothing(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hole:
        hole.settimeout(1)
        port = hole.getsockname()[1]
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{SECRET}@127.0.0.1:{port}")
        with monkeypatch.context() as trainer:  # Which connects to nothing, so that it waits for nothing.
            trainer.setattr(socket.socket, "connect", lambda *_: pytest.fail("the trainer connects"))
            uploader = start(run_dir)
            append(run_dir / JOURNAL, rows())
            append(run_dir / TIMING, timing())
            uploader.ensure_running()
        connection = None
        while connection is None:  # until the uploader has come, which gets no answer
            assert uploader._process is not None and uploader._process.poll() is None
            with suppress(TimeoutError):
                connection, _ = hole.accept()
        report = uploader.finish("FINISHED", timeout=0.5)
        assert uploader._process.poll() == -signal.SIGKILL
        connection.close()
    waiting = len(rows()) + len(timing())
    assert report == UploadReport(
        None, waiting, f"{waiting} rows pending for http://***@127.0.0.1:{port}: composer sync {run_dir}", False
    )
    reader = read(run_dir / JOURNAL)
    assert len(list(reader)) == len(rows()) and reader.problem is None
    assert not any(SECRET.encode() in path.read_bytes() for path in run_dir.iterdir())


def test_without_tracking_nothing_is_started_or_written(run_dir: Path) -> None:
    before = set(run_dir.iterdir())
    uploader = Uploader.start(run_dir, NoTracker(), RunDescription(), run_dir.parent)
    uploader.ensure_running()
    assert uploader.finish("FINISHED") == UploadReport(None, 0, "tracking is off; the journal has everything")
    assert set(run_dir.iterdir()) == before


def test_a_refused_store_of_the_environment_stops_before_anything_starts(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    with pytest.raises(ValueError, match=r"MLFLOW_TRACKING_URI=\./mlruns: .*use a database"):
        start(run_dir)
    assert not (run_dir / LOG).exists()


def test_sync_names_what_it_lacks(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracking = Tracking.load(run_dir)
    assert tracking is not None
    tracking.source = "environment"
    tracking.save(run_dir)
    with pytest.raises(ValueError, match="MLFLOW_TRACKING_URI named the store of this run, with credentials"):
        sync(run_dir)
    (run_dir / Tracking.file).unlink()
    with pytest.raises(ValueError, match="not tracked"):
        sync(run_dir)
    assert StoredRun.load(run_dir) is None


def test_sync_leaves_a_run_alone_that_is_being_uploaded(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploader_process, "SYNC_PATIENCE", 0.0)
    append(run_dir / JOURNAL, rows())
    lock = open_lock(run_dir / LOCK)
    assert lock_exclusive(lock, 0.0)
    busy = f"{run_dir}: another process is uploading this run"
    assert sync(run_dir) == UploadReport(None, len(rows()), busy, is_complete=False)
    os.close(lock)


def test_an_outage_of_any_length_is_waited_out(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer lives, the store fails 1,100 times with a secret in its message, then takes everything."""
    attempts: list[float] = []
    watch = uploader_process.Watch(run_dir, os.getppid())
    tracking = Tracking.load(run_dir)
    assert tracking is not None

    def deliver(*_: object) -> None:
        if len(attempts) < 1100:
            raise ConnectionError(f"no answer from http://me:{SECRET}@host/api\nand more")

    monkeypatch.setattr(uploader_process, "_deliver", deliver)
    monkeypatch.setattr(watch, "pause", attempts.append)
    destination = Destination(f"http://me:{SECRET}@host", "environment")
    assert uploader_process.upload(run_dir, tracking, destination, watch)
    assert attempts[:7] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] and set(attempts[7:]) == {30.0}
    upload = Upload.load(run_dir)
    assert upload is not None and upload.error == "ConnectionError: no answer from http://***@host/api"
    assert not any(SECRET.encode() in path.read_bytes() for path in run_dir.iterdir())


@pytest.mark.slow
def test_a_store_that_is_away_leaves_the_rows_pending_and_sync_sends_them(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone trains while the store refuses every connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")  # nobody listens there any more
    append(run_dir / JOURNAL, rows())
    append(run_dir / TIMING, timing())
    report = start(run_dir).finish("FAILED", timeout=3_600)
    waiting = len(rows()) + len(timing())
    assert (report.mlflow_run_id, report.pending) == (None, waiting)
    assert "no server listens at http://127.0.0.1" in report.message
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{run_dir.parents[1]}/mlflow/mlflow.db")
    report = sync(run_dir)
    assert report.pending == 0 and report.mlflow_run_id == StoredRun.load(run_dir).run_id
    assert {row[:3]: row[3] for row in stored(run_dir)} == pytest.approx(expected(), rel=1e-12)
    assert statuses(run_dir) == {"FAILED"}


@pytest.mark.slow
def test_an_uploader_killed_three_times_loses_nothing_and_repeats_nothing(run_dir: Path) -> None:
    """Alone kills the uploader's process."""
    steps, names = 400, [f"loss/{number}" for number in range(40)]
    append(
        run_dir / JOURNAL,
        [
            {"type": "metrics", "env_step": step, "seed": seed, "metrics": {name: step + seed / 7 for name in names}}
            for step in range(steps)
            for seed in SEEDS
        ],
    )
    uploader, mark = start(run_dir), -1
    for _ in range(3):
        process = uploader._process
        assert process is not None
        # An uploader that was faster than this loop has nothing more to send.
        while (upload := Upload.load(run_dir)) is None or (
            sum(upload.sent.values()) <= mark and upload.acknowledged[JOURNAL] < steps * len(SEEDS)
        ):
            assert process.poll() is None
            time.sleep(0.001)
        process.kill()
        process.wait()
        mark = sum(upload.sent.values())
        uploader = start(run_dir)
    report = uploader.finish("FINISHED", timeout=3_600)
    assert report.pending == 0
    found = stored(run_dir)  # of each seed and of their mean; two seeds have no interval
    assert len(found) == len({row[:3] for row in found}) == steps * len(names) * (len(SEEDS) + 1)
    assert statuses(run_dir) == {"FINISHED"}


TRAINER = """
import sys, signal
from pathlib import Path
from tracking_run import append, rows, timing
from composer.tracking.mlflow_tracker import MlflowTracker
from composer.tracking.records import RunDescription
from composer.tracking.uploader import Uploader
run_dir = Path(sys.argv[1])
uploader = Uploader.start(run_dir, MlflowTracker(pictures=False), RunDescription({"note": "x"}), run_dir.parent)
append(run_dir / "journal.jsonl", rows(0, 6))
append(run_dir / "timing.jsonl", timing(0, 6))
print(uploader._process.pid, flush=True)
signal.pause()
"""


@pytest.mark.slow
def test_a_killed_trainer_is_marked_and_its_resume_ends_well(run_dir: Path) -> None:
    """Alone kills a trainer whose uploader lives on."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)])}
    command = [sys.executable, "-c", TRAINER, str(run_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as trainer:
        assert trainer.stdout is not None
        uploader = psutil.Process(int(trainer.stdout.readline()))
        trainer.send_signal(signal.SIGKILL)
    uploader.wait(3_600)
    assert statuses(run_dir) == {"KILLED"}
    assert {row[:3]: row[3] for row in stored(run_dir)} == pytest.approx(expected(6), rel=1e-12)
    first = StoredRun.load(run_dir)

    append(run_dir / "prefix", rows(0, 3))
    append(run_dir / JOURNAL, rows(3), resume_at=(run_dir / "prefix").stat().st_size)
    append(run_dir / "timing.prefix", timing(0, 3))
    append(run_dir / TIMING, timing(3), resume_at=(run_dir / "timing.prefix").stat().st_size)
    report = start(run_dir).finish("FINISHED", timeout=3_600)
    assert report.pending == 0 and StoredRun.load(run_dir) == first
    assert {row[:3]: row[3] for row in stored(run_dir)} == pytest.approx(expected(), rel=1e-12)
    assert len(stored(run_dir)) == len(expected())
    assert statuses(run_dir) == {"FINISHED"}
    assert json.loads((run_dir / Ended.file).read_text())["status"] == "FINISHED"
