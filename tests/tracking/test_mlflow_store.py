"""The MLflow store on SQLite: first use in a crowd, kills halfway, migration, and what comes back out of it."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tracking_run import append, expected, rows, timing

from composer.tracking import locks, mlflow_store
from composer.tracking.base import Destination
from composer.tracking.dataset import Dataset
from composer.tracking.mlflow_store import MlflowStore, is_ready, ready_store, revision
from composer.tracking.mlflow_tracker import MlflowTracker
from composer.tracking.records import JOURNAL, TIMING, StoredRun, Tracking, Upload
from composer.tracking.store import StoreError
from composer.tracking.uploader import report, sync

# MLflow's own, with the SQLAlchemy that it asks for.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database made once (it takes seconds), to be copied; where a killed creation had left its halves."""
    folder = tmp_path_factory.mktemp("store")
    destination = MlflowTracker().destination(folder / "runs", {})
    (folder / "mlflow").mkdir()
    for name in (".mlflow.db.new", ".mlflow.db.new-journal"):
        (folder / "mlflow" / name).write_bytes(b"half a database")
    with ready_store(destination):
        return Path(destination.uri.removeprefix("sqlite:///"))


@pytest.fixture
def destination(fresh: Path, tmp_path: Path) -> Destination:
    """The embedded store of ``tmp_path / "runs"``, ready."""
    found = MlflowTracker().destination(tmp_path / "runs", {})
    (tmp_path / "mlflow").mkdir()
    shutil.copy(fresh, tmp_path / "mlflow" / "mlflow.db")
    return found


def query(database: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.slow
def test_a_new_store_is_whole_and_leaves_nothing_else_behind(fresh: Path) -> None:
    """Alone makes a store from nothing, by MLflow's own migrations."""
    assert is_ready(fresh)
    assert query(fresh, "PRAGMA integrity_check") == [("ok",)]
    assert {path.name for path in fresh.parent.iterdir()} == {"mlflow.db", ".mlflow.db.lock"}
    ((artifacts,),) = query(fresh, "SELECT artifact_location FROM experiments")
    assert artifacts == f"{(fresh.parent / 'artifacts').as_uri()}/0"


def test_whoever_comes_second_goes_on_as_soon_as_the_first_has_made_it(
    destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first user made the database and holds the lock in common for as long as it lives; the second saw none before.
    answers = iter([False, True])
    monkeypatch.setattr(mlflow_store, "is_ready", lambda database: next(answers))
    monkeypatch.setattr(mlflow_store, "LOCK_SECONDS", 0.0)
    with held_first(destination), ready_store(destination):
        assert next(answers, None) is None


@contextmanager
def held_first(destination: Destination) -> Iterator[None]:
    database = Path(destination.uri.removeprefix("sqlite:///"))
    lock = locks.open_lock(database.with_name(f".{database.name}.lock"))
    locks.lock_shared(lock)
    try:
        yield
    finally:
        os.close(lock)


def test_an_upload_arrives_and_a_sync_to_another_store_too(
    run_dir: Path, destination: Destination, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    append(run_dir / JOURNAL, rows())
    append(run_dir / TIMING, timing(), clock=lambda: 7.0)
    assert report(run_dir, destination).pending == len(rows()) + len(timing())
    other = run_dir.parent / "other.db"
    shutil.copy(fresh, other)
    for database, variable in ((destination.uri, None), (f"sqlite:///{other}", f"sqlite:///{other}")):
        if variable:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", variable)
        found = sync(run_dir)
        assert (found.pending, found.message) == (0, f"{len(rows()) + len(timing())} rows in MLflow ({database})")
        path = Path(database.removeprefix("sqlite:///"))
        sql = "SELECT t.value, m.key, m.step, m.value FROM metrics m JOIN tags t ON m.run_uuid = t.run_uuid"
        stored = query(path, f"{sql} AND t.key = 'composer.role'")
        assert len(stored) == len(expected())
        assert {row[:3]: row[3] for row in stored} == pytest.approx(expected(), rel=1e-12)
        assert query(path, "SELECT DISTINCT status FROM runs") == [("KILLED",)]  # no ended.json: the trainer was killed
        assert query(path, "SELECT MAX(LENGTH(value)) FROM params") == [(6000,)]
        assert sync(run_dir) == found


def test_experiments_are_made_once_and_a_deleted_one_is_named(destination: Destination) -> None:
    store = MlflowStore(destination)
    first = store.experiment("walker")
    assert store.experiment("walker") == first
    store._client.delete_experiment(first)
    with pytest.raises(StoreError, match="the experiment 'walker' was deleted in MLflow; restore it there, or name"):
        store.experiment("walker")


def test_runs_are_found_by_tags_and_known_to_exist(destination: Destination) -> None:
    store = MlflowStore(destination)
    experiment = store.experiment("walker")
    run_id = store.create_run(experiment, "a", {"composer.run_id": "r", "composer.role": "3"}, 1)
    assert store.find_run(experiment, {"composer.run_id": "r", "composer.role": "3"}) == run_id
    assert store.find_run(experiment, {"composer.run_id": "r", "composer.role": "5"}) is None
    agent = """sac [algorithm.batch_size=8, environment.id="it's"]"""
    for name in ("sac", "sac [x='y']", 'sac [x="y"]', agent):
        tagged = store.create_run(experiment, "b", {"agent": name, "composer.agent": "1f"}, 1)
        assert store.has_other(experiment, {"agent": name}, "composer.agent", "2f")
        assert not store.has_other(experiment, {"agent": name}, "composer.agent", "1f")
        assert store.find_run(experiment, {"agent": name}) == tagged and store.tag(tagged, "agent") == name
    assert store.revive(run_id) == "active" and store.revive("0" * 32) is None
    store._client.delete_run(run_id)
    assert store.revive(run_id) == "restored" and store.revive(run_id) == "active"


def test_what_a_run_learns_from_is_an_input_once_and_a_refusal_costs_no_row(
    run_dir: Path, destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking = Tracking.load(run_dir)
    assert tracking is not None
    columns, source = {"observation": "float32 [24]"}, {"kind": "dm_control", "versions": {"mujoco": "3"}}
    replace(tracking, dataset=Dataset("walker-walk", "5" * 16, columns, {"steps": 9}, source, 2)).save(run_dir)
    append(run_dir / JOURNAL, rows())
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowStore, "log_dataset", lambda *_: (_ for _ in ()).throw(OSError("no inputs here")))
        refused = sync(run_dir)
        assert refused.is_complete and "what it learns from is not there: OSError: no inputs here" in refused.message
    assert "not there" not in sync(run_dir).message
    stored = StoredRun.load(run_dir)
    assert stored is not None
    (run_dir / Upload.file).unlink()  # The next uploader knows of nothing that the others have sent.
    assert sync(run_dir).is_complete
    client = MlflowStore(destination)._client
    for run_id in stored.ids():
        ((given, tags),) = [(each.dataset, each.tags) for each in client.get_run(run_id).inputs.dataset_inputs]
        assert (given.name, given.digest, given.source_type) == ("walker-walk", "5" * 16, "code")
        assert json.loads(given.schema) == {"mlflow_colspec": [{"name": "observation", "type": "float32 [24]"}]}
        assert (json.loads(given.profile), json.loads(given.source)) == ({"steps": 9, "mujoco": "3"}, {"tags": source})
        assert {each.key: each.value for each in tags} == {"mlflow.data.context": "training", "environments": "2"}
    found = client.search_runs([stored.experiment_id], "dataset.name = 'walker-walk'")
    assert {each.info.run_id for each in found} == {*stored.ids()}


def test_pictures_are_found_by_key_and_step_and_files_by_folder(destination: Destination, tmp_path: Path) -> None:
    (tmp_path / "shape.svg").write_text("<svg/>")
    with ready_store(destination):
        store = MlflowStore(destination)
        run_id = store.create_run(store.experiment("pictures"), "run", {}, 5)
        assert store.pictures(run_id) == set()
        store.log_file(run_id, tmp_path / "shape.svg", "media")
        store.log_picture(run_id, png(200), "curve_2", 4000)
        store.log_picture(run_id, png(100), "curve_2", 0)
        assert store.pictures(run_id) == {("curve_2", 4000), ("curve_2", 0)}
    (artifacts,) = [path.parents[1] for path in tmp_path.rglob("shape.svg") if path.parent.name == "media"]
    assert len(list(artifacts.glob("images/curve_2+step+4000+*.png"))) == 1


def png(shade: int) -> bytes:
    stream = BytesIO()
    Image.new("L", (2, 2), shade).save(stream, "png")
    return stream.getvalue()


def test_an_older_database_is_migrated_whole_and_the_old_one_kept(tmp_path: Path) -> None:
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine

    destination = MlflowTracker().destination(tmp_path / "runs", {})
    database = tmp_path / "mlflow" / "mlflow.db"
    database.parent.mkdir()
    engine = create_engine(destination.uri)
    Base.metadata.create_all(engine)
    command.upgrade(_get_alembic_config(destination.uri), "heads-1")
    engine.dispose()
    old = revision(database)
    query(database, "SELECT 1")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT INTO experiments (name, lifecycle_stage) VALUES ('kept', 'active')")
    with ready_store(destination):
        assert is_ready(database)
    assert query(database, "SELECT name FROM experiments") == [("kept",)]
    assert revision(database.with_name(f"mlflow.db.before-{old}")) == old


def test_a_database_that_cannot_be_migrated_is_left_as_it_was(destination: Destination, tmp_path: Path) -> None:
    database = tmp_path / "mlflow" / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'f00dfacecafe'")
    before = database.read_bytes()
    problem = "its schema f00dfacecafe cannot be brought to that of the installed MLflow"
    with pytest.raises(StoreError, match=problem), ready_store(destination):
        pass
    assert database.read_bytes() == before
    database.write_bytes(b"these are not the rows you are looking for" * 100)
    with pytest.raises(StoreError, match="is no MLflow database"), ready_store(destination):
        pass


FIRST_USE = """
import sys
import time
from pathlib import Path
from composer.tracking.mlflow_tracker import MlflowTracker
from composer.tracking.mlflow_store import MlflowStore, ready_store
import mlflow.store.tracking.sqlalchemy_store
destination = MlflowTracker().destination(Path(sys.argv[1]), {})
print("ready", flush=True)
sys.stdin.readline()
with ready_store(destination):
    store = MlflowStore(destination)
    store.create_run(store.experiment("crowd"), sys.argv[2], {}, 1)
"""


def first_use(runs: Path, name: str) -> "subprocess.Popen[bytes]":
    """A process that waits for a line and then opens the store as its first user."""
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", FIRST_USE, str(runs), name], stdin=pipe, stdout=pipe, cwd=ROOT)


@pytest.mark.slow
def test_four_processes_may_be_the_first_at_once(tmp_path: Path) -> None:
    """Alone races processes for a new store."""
    crowd = [first_use(tmp_path / "runs", str(number)) for number in range(4)]
    for process in crowd:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    for process in crowd:
        process.communicate(b"go\n")
    assert [process.returncode for process in crowd] == [0, 0, 0, 0]
    database = tmp_path / "mlflow" / "mlflow.db"
    assert sorted(query(database, "SELECT name FROM runs")) == [("0",), ("1",), ("2",), ("3",)]
    assert sorted(query(database, "SELECT name FROM experiments")) == [("Default",), ("crowd",)]


def is_written(path: Path, since: int, size: int) -> bool:
    """Whether a file has this size and was written since; it may come and go meanwhile."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return found.st_mtime_ns > since and found.st_size >= size


@pytest.mark.slow
def test_a_first_use_that_is_killed_anywhere_spoils_nothing(tmp_path: Path) -> None:
    """Alone kills the process that makes a new store."""
    folder = tmp_path / "mlflow"
    new = folder / ".mlflow.db.new"
    for pages in (0, 30, 100):
        with first_use(tmp_path / "runs", "killed") as process:
            assert process.stdout is not None and process.stdin is not None
            process.stdout.readline()
            process.stdin.write(b"go\n")
            process.stdin.flush()
            began = time.time_ns()
            while process.poll() is None and not is_written(new, began, 4096 * pages):
                os.sched_yield()
            process.send_signal(signal.SIGKILL)
        assert not (folder / "mlflow.db").exists()  # killed before it was whole: there is none
    with first_use(tmp_path / "runs", "last") as process:
        process.communicate(b"go\n")
    assert process.returncode == 0
    assert query(folder / "mlflow.db", "SELECT name FROM runs") == [("last",)]
    assert {path.name for path in folder.iterdir()} == {"mlflow.db", ".mlflow.db.lock"}
