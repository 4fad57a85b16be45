"""Where a store is: odd paths, projects that move, and databases that nobody asked for."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tracking_run import append, expected, rows, timing
from typer.testing import CliRunner

from composer.blueprint import load
from composer.cli import app
from composer.tracking import ui
from composer.tracking.base import StoreRefused
from composer.tracking.mlflow_store import MlflowStore, ready_store
from composer.tracking.mlflow_tracker import MlflowTracker
from composer.tracking.moved_store import APPLICATION, follow_database
from composer.tracking.project import admitted
from composer.tracking.records import JOURNAL, TIMING, Ended, Tracking, Upload
from composer.tracking.uploader import _recorded_uri, sync

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.fixture(autouse=True)
def no_store_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database made once (it takes seconds), to be copied."""
    destination = MlflowTracker().destination(tmp_path_factory.mktemp("store") / "runs", {})
    with ready_store(destination):
        assert destination.database is not None
        return destination.database


def as_another_process() -> None:
    """Forget what MLflow keeps of stores in a process; commands run in processes of their own."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.tracking._tracking_service import utils

    utils._artifact_repos_cache.clear()
    type(utils._tracking_store_registry)._get_store_with_resolved_uri.cache_clear()
    for engine in SqlAlchemyStore._engine_map.values():
        engine.dispose()
    SqlAlchemyStore._engine_map.clear()


def query(database: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as connection, connection:
        return connection.execute(sql).fetchall()


def ended(run_dir: Path) -> Path:
    """The run with all of its rows, and its end."""
    append(run_dir / JOURNAL, rows())
    append(run_dir / TIMING, timing(), clock=lambda: 7.0)
    Ended("FINISHED", 5).save(run_dir)
    return run_dir


def points(database: Path) -> dict[tuple[str, str, int], float]:
    sql = "SELECT t.value, m.key, m.step, m.value FROM metrics m JOIN tags t ON m.run_uuid = t.run_uuid"
    found = query(database, f"{sql} AND t.key = 'composer.role'")
    assert len(found) == len(expected())
    return {row[:3]: row[3] for row in found}


@pytest.mark.parametrize("name", ["a b", "a#b", "a%20b", "a?b=c", "it's", 'q"q', "größe", "a@b:c", "100%", "[x]"])
def test_a_project_may_be_called_anything(name: str, fresh: Path, run_dir: Path) -> None:
    project = run_dir.parents[1] / name
    (project / "mlflow").mkdir(parents=True)
    shutil.copytree(run_dir.parent, project / "runs")
    database = project / "mlflow" / "mlflow.db"
    shutil.copy(fresh, database)
    there = sorted(project.parent.iterdir())
    found = sync(ended(project / "runs" / run_dir.name))
    assert found.is_complete, found.message
    assert points(database) == pytest.approx(expected(), rel=1e-12)
    destination = MlflowTracker().destination(project / "runs", {})
    assert destination.database == database and ui.experiment_id(destination, "composer") is not None
    assert {path.name for path in (project / "mlflow" / "artifacts").rglob("*") if path.is_file()} == {
        *("run.json", "blueprint.toml", "parameters.json", "events.jsonl")
    }
    assert sorted(project.parent.iterdir()) == there  # Nothing was made beside it.


@pytest.mark.slow
def test_a_new_store_is_made_in_such_a_project(tmp_path: Path) -> None:
    """Alone has MLflow make databases there."""
    for name in ("a%20b", "a?b=c"):
        destination = MlflowTracker().destination(tmp_path / name / "runs", {})
        with ready_store(destination):
            MlflowStore(destination).experiment("x")
        assert query(tmp_path / name / "mlflow" / "mlflow.db", "PRAGMA application_id") == [(APPLICATION,)]
    assert {path.name for path in tmp_path.iterdir()} == {"a%20b", "a?b=c"}


@pytest.mark.parametrize("how", ["moved", "copied", "older", "a blueprint's", "its database alone"])
def test_a_project_that_moves_keeps_its_runs_and_writes_beside_its_database(
    how: str, fresh: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_dir.parents[1] / "one"
    (first / "mlflow").mkdir(parents=True)
    shutil.move(run_dir.parent, first / "runs")
    shutil.copy(fresh, first / "mlflow" / "mlflow.db")
    follow_database(first / "mlflow" / "mlflow.db", first / "mlflow" / "artifacts", is_own=True)
    run = ended(first / "runs" / run_dir.name)
    if how == "older":
        query(first / "mlflow" / "mlflow.db", "PRAGMA application_id = 0")
    if how == "a blueprint's":
        monkeypatch.chdir(first)
        tracking = Tracking.load(run)
        assert tracking is not None
        named = MlflowTracker(uri="sqlite:///mlflow/mlflow.db").destination(first / "runs", {})
        tracking.uri, tracking.source = _recorded_uri(named, run), "blueprint"
        tracking.save(run)
        monkeypatch.chdir(first.parent)
    assert sync(run).is_complete
    second = first.parent / "two"
    if how == "its database alone":
        (second / "mlflow").mkdir(parents=True)
        shutil.copy(first / "mlflow" / "mlflow.db", second / "mlflow" / "mlflow.db")
        shutil.copytree(first / "runs", second / "runs")
    else:
        (shutil.copytree if how == "copied" else shutil.move)(first, second)
    as_another_process()
    before = snapshot(first)
    run, database = second / "runs" / run_dir.name, second / "mlflow" / "mlflow.db"
    found = sync(run)
    assert found.is_complete, found.message
    assert str(database) in found.message and snapshot(first) == before
    assert points(database) == pytest.approx(expected(), rel=1e-12)
    (location,) = query(database, "SELECT artifact_location FROM experiments WHERE name = 'composer'")[0]
    assert location == (second / "mlflow" / "artifacts").as_uri()
    destination = MlflowTracker().destination(second / "runs", {})
    store = MlflowStore(destination)
    (parent,) = query(database, "SELECT run_uuid FROM tags WHERE key = 'composer.role' AND value = 'parent'")[0]
    files = store._client.list_artifacts(parent)
    assert {each.path for each in files} >= {"run.json", "blueprint.toml"}


def snapshot(folder: Path) -> dict[Path, tuple[int, int]]:
    """Every file below a folder, with its size and time."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_a_store_that_composer_did_not_make_keeps_its_folders(fresh: Path, tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    shutil.copy(fresh, database)
    query(database, "PRAGMA application_id = 0")
    before = query(database, "SELECT artifact_location FROM experiments")
    follow_database(database, tmp_path / "artifacts", is_own=False)
    assert query(database, "SELECT artifact_location FROM experiments") == before


OUTSIDE = ["sqlite:///../out/x.db", "sqlite:////OUT/x.db", "sqlite:///link/x.db", "sqlite:///a/../../out/x.db",
           "sqlite+pysqlite:////OUT/x.db", "sqlite:///%2e%2e/out/x.db", "sqlite:///file.db"]  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which there are links to a folder and to a database outside of it; the working folder."""
    (tmp_path / "out").mkdir()
    (tmp_path / "project" / "runs").mkdir(parents=True)
    (tmp_path / "project" / "link").symlink_to(tmp_path / "out")
    (tmp_path / "project" / "file.db").symlink_to(tmp_path / "out" / "x.db")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def blueprint(project: Path, uri: str, *overrides: str) -> MlflowTracker:
    """The tracker of a blueprint file that names this store."""
    path = project / "blueprint.toml"
    text = (Path(__file__).parents[1] / "tiny.toml").read_text(encoding="utf-8")
    uri = uri.replace("/OUT", str(project.parent / "out"))
    path.write_text(text.replace('kind = "none"', f'kind = "mlflow", uri = "{uri}"'), encoding="utf-8")
    tracker = load(path, overrides, is_to_run=False).blueprint.tracking
    assert isinstance(tracker, MlflowTracker)
    return tracker


@pytest.mark.parametrize("uri", OUTSIDE)
def test_a_blueprint_s_store_stays_in_the_project_unless_the_user_names_it(uri: str, project: Path) -> None:
    tracker = blueprint(project, uri)
    with pytest.raises(StoreRefused, match=r"is outside of the project .*MLFLOW_TRACKING_URI=.*tracking.uri=") as error:
        admitted(tracker, project / "runs", {})
    assert error.value.exit_code == 2 and not list((project.parent / "out").iterdir())
    place = tracker.destination(project / "runs", {}).uri
    assert admitted(tracker, project / "runs", {"MLFLOW_TRACKING_URI": place}) is not None
    with pytest.raises(StoreRefused):
        admitted(tracker, project / "runs", {"MLFLOW_TRACKING_URI": "sqlite:////elsewhere.db"})
    typed = blueprint(
        project, "sqlite:///mine.db", f"tracking.uri={uri.replace('/OUT', str(project.parent / 'out'))!r}"
    )
    assert admitted(typed, project / "runs", {}) is not None


@pytest.mark.parametrize("uri", ["sqlite:///mine.db", "sqlite:///new/folder/x.db", "sqlite:///a/../b.db"])
def test_a_store_within_the_project_needs_no_word(uri: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert admitted(blueprint(project, uri), project / "runs", {}) is not None
    whole = f"sqlite:///{project}/mine.db"
    monkeypatch.chdir(project.parent / "out")  # The folder of the blueprint is a project too.
    assert admitted(blueprint(project, whole), Path("runs"), {}) is not None


def test_the_root_folder_is_no_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = blueprint(project, "sqlite:////OUT/x.db")
    monkeypatch.chdir("/")
    with pytest.raises(StoreRefused):
        admitted(tracker, project / "runs", {})


def test_an_embedded_store_behind_a_link_is_refused_until_it_has_runs(project: Path, fresh: Path) -> None:
    (project / "mlflow").symlink_to(project.parent / "out")
    with pytest.raises(StoreRefused):
        admitted(MlflowTracker(), project / "runs", {})
    shutil.copy(fresh, project.parent / "out" / "mlflow.db")
    assert admitted(MlflowTracker(), project / "runs", {}) is not None


@pytest.mark.parametrize(
    "record",
    [
        {"uri": "sqlite:////OUT/x.db", "source": "blueprint"},
        {"uri": "sqlite:////OUT/x.db", "source": "environment"},
        {"uri": "sqlite:///../../../out/x.db", "source": "blueprint"},
        {"uri": "file:///OUT", "source": "blueprint"},
        {"uri": "https://me:hunter2@host", "source": "blueprint"},
        {"uri": "nonsense", "source": "environment"},
    ],
)
def test_a_run_directory_of_a_stranger_makes_no_store_elsewhere(
    record: dict[str, Any], run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = run_dir.parents[2] / f"out-{run_dir.parents[1].name}"
    out.mkdir()
    (run_dir.parents[1] / "work").mkdir()
    monkeypatch.chdir(run_dir.parents[1] / "work")
    tracking = Tracking.load(ended(run_dir))
    assert tracking is not None
    tracking.uri, tracking.source = (
        record["uri"].replace("/OUT", str(out)).replace("../out", f"../{out.name}"),
        record["source"],
    )
    tracking.save(run_dir)
    with pytest.raises(StoreRefused) as error:
        sync(run_dir)
    assert "hunter2" not in str(error.value) and not list(out.iterdir())


def test_files_go_to_no_folder_that_a_store_names_outside_of_its_own(fresh: Path, run_dir: Path) -> None:
    database = run_dir.parents[1] / "mlflow" / "mlflow.db"
    database.parent.mkdir()
    shutil.copy(fresh, database)
    out = run_dir.parents[1] / "out"
    destination = MlflowTracker().destination(run_dir.parent, {})
    MlflowStore(destination)._client.create_experiment("composer", out.as_uri())
    found = sync(ended(run_dir))
    assert found.is_complete and f"its files are not there: the store keeps them in {out}/" in found.message
    assert points(database) == pytest.approx(expected(), rel=1e-12) and not out.exists()


def test_ui_makes_no_store(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["ui", "--runs", str(tmp_path / "TYPO" / "runs"), "--port", "54321"])
    assert found.exit_code == 3 and f"there is no store at {tmp_path}/TYPO/mlflow/mlflow.db" in found.stderr
    assert not (tmp_path / "TYPO").exists()


@pytest.mark.parametrize(
    "harm",
    ["database gone", "database emptied", "runs deleted", "a child deleted", "rows deleted", "last rows deleted",
     "runs gone for good", "one run gone for good", "files gone", "an older copy"],
)  # fmt: skip
def test_sync_sends_again_what_the_store_has_lost(harm: str, fresh: Path, run_dir: Path) -> None:
    database = run_dir.parents[1] / "mlflow" / "mlflow.db"
    database.parent.mkdir()
    shutil.copy(fresh, database)
    first = sync(ended(run_dir))
    assert first.is_complete and first == sync(run_dir)
    client = MlflowStore(MlflowTracker().destination(run_dir.parent, {}))._client
    runs = [run for (run,) in query(database, "SELECT run_uuid FROM runs")]
    if harm == "database gone":
        shutil.rmtree(database.parent)
    elif harm == "database emptied":
        database.write_bytes(b"")
    elif harm == "runs deleted":
        for run in runs:
            client.delete_run(run)
    elif harm == "a child deleted":
        client.delete_run(runs[-1])
    elif harm == "files gone":
        shutil.rmtree(database.parent / "artifacts")
    elif harm == "an older copy":
        shutil.copy(fresh, database)
    else:
        where = {"rows deleted": "step = 300", "last rows deleted": "step = 700"}.get(harm)
        gone = runs if harm == "runs gone for good" else runs[:1]
        names = ", ".join(f"'{run}'" for run in gone)
        tables = ["metrics"] if where else ["metrics", "latest_metrics", "params", "tags", "runs"]
        for table in tables:
            query(database, f"DELETE FROM {table} WHERE {where or f'run_uuid IN ({names})'}")
    as_another_process()
    found = sync(run_dir)
    assert found.is_complete, found.message
    assert points(database) == pytest.approx(expected(), rel=1e-12)
    assert {stage for (stage,) in query(database, "SELECT lifecycle_stage FROM runs")} == {"active"}
    assert list((database.parent / "artifacts").rglob("run.json"))
    said = {"runs deleted": "3 of its runs had been deleted there and are restored", "a child deleted": "1 of its runs"}
    assert said.get(harm, "rows in MLflow") in found.message
    if "gone for good" in harm:
        assert "are made anew" in found.message


@pytest.mark.parametrize("harm", ["experiment deleted", "database damaged", "database is another file"])
def test_sync_says_what_it_cannot_mend(harm: str, fresh: Path, run_dir: Path) -> None:
    database = run_dir.parents[1] / "mlflow" / "mlflow.db"
    database.parent.mkdir()
    shutil.copy(fresh, database)
    assert sync(ended(run_dir)).is_complete
    if harm == "experiment deleted":
        store = MlflowStore(MlflowTracker().destination(run_dir.parent, {}))
        store._client.delete_experiment(store.experiment("composer"))
        words = "the experiment 'composer' was deleted in MLflow; restore it there"
    else:
        database.write_bytes(database.read_bytes()[:5000] if "damaged" in harm else b"#!/bin/sh\necho no\n" * 300)
        words = "move it away"
    before = database.read_bytes()
    as_another_process()
    found = sync(run_dir)
    assert not found.is_complete and words in found.message and "composer sync" in found.message
    state = Upload.load(run_dir)
    assert (state is not None and state.error and "experiment" in harm) or database.read_bytes() == before
    (run_dir / "blueprint.toml").write_text("")
    answer = CliRunner().invoke(app, ["sync", str(run_dir)], env={"MLFLOW_TRACKING_URI": None})
    assert answer.exit_code == 3 and words in answer.stderr, answer.stderr
