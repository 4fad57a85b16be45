"""``composer ui``: on this machine only, with the link that opens the charts, and gone when it ends."""

import json
import os
import signal
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest
from answering import answering
from tracking_run import append, expected, rows, timing
from typer.testing import CliRunner

from composer.cli import app
from composer.tracking import ui
from composer.tracking.base import Destination
from composer.tracking.mlflow_store import MlflowStore, ready_store
from composer.tracking.mlflow_tracker import MlflowTracker
from composer.tracking.page.views import task_key
from composer.tracking.records import JOURNAL, TIMING, StoredRun, Upload
from composer.tracking.uploader import UploadReport, sync

NO_URI = {"MLFLOW_TRACKING_URI": None}
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.mark.parametrize(
    ("tag", "mode"),
    [
        ("overview", "CHART&viewStateShareKey=overview"),
        (task_key("walk"), f"CHART&viewStateShareKey={task_key('walk')}"),
        (task_key("run"), "CHART"),
    ],
)
def test_of_a_server_the_first_view_is_opened_without_its_password(tag: str, mode: str) -> None:
    there = {"experiment_id": "7", "name": "walker", "tags": [{"key": f"mlflow.sharedViewState.{tag}", "value": "{}"}]}
    said, shown = list[str](), list[str]()
    newest = {"info": {"run_id": "1"}, "data": {"tags": [{"key": "task", "value": "walk"}]}}
    with answering(200, json.dumps({"experiment": there, "experiments": [there], "runs": [newest]})) as host:
        store = Destination(f"http://me:hunter2@{host}/x", "environment")
        assert ui.serve(store, "walker", say=said.append, show=shown.append) == 0
        assert ui.serve(store, "walker", say=said.append, show=shown.append, study="mine") == 0
    first, of_study = said
    assert first == f"http://{host}/x/#/experiments/7/runs?workflowType=machine_learning&compareRunsMode={mode}"
    assert of_study.startswith(f"http://{host}/x/#/experiments/7/runs?") and shown == said


def test_of_a_server_without_the_experiment_or_the_study_there_is_the_list_or_a_line() -> None:
    said: list[str] = []
    body = json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"})
    with answering(404, body) as host:
        assert ui.serve(Destination(f"http://{host}", "environment"), "walker", say=said.append) == 0
    assert said == [f"http://{host}/#/experiments?workflowType=machine_learning"]
    with answering(200, "{}") as host, pytest.raises(ui.ServerError, match="no run of a study 'mine' is in http"):
        ui.serve(Destination(f"http://{host}", "environment"), "walker", study="mine")


def test_a_server_that_refuses_the_user_ends_the_command_with_a_line(tmp_path: Path) -> None:
    with answering(401, "You are not authenticated.") as host:
        login = {"MLFLOW_TRACKING_URI": f"http://{host}", "MLFLOW_TRACKING_USERNAME": "me"}
        login["MLFLOW_TRACKING_PASSWORD"] = "hunter2"
        found = CliRunner().invoke(app, ["ui", "--runs", str(tmp_path / "runs")], env=login)
    assert found.exit_code == 3 and "hunter2" not in found.output
    assert "does not accept the user and password in MLFLOW_TRACKING_USERNAME and" in found.stderr


def test_a_port_that_is_taken_is_said_before_anything_starts(tmp_path: Path) -> None:
    destination = MlflowTracker().destination(tmp_path / "runs", {})
    with socket.create_server((ui.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ui.ServerError, match=f"port {port} on 127.0.0.1: .*; choose another with --port"):
            ui.serve(destination, "composer", port)
    assert not (tmp_path / "mlflow").exists()


def test_a_store_that_cannot_be_used_ends_the_command_with_a_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "mlflow.db").write_text("no database")
    with socket.create_server((ui.HOST, 0)) as free:
        port = free.getsockname()[1]
    found = CliRunner().invoke(app, ["ui", "--runs", str(tmp_path / "runs"), "--port", str(port)], env=NO_URI)
    assert found.exit_code == 3 and "is no MLflow database" in found.stderr


@pytest.fixture(params=["SIGINT", "SIGTERM"])
def ending(request: pytest.FixtureRequest) -> Iterator[int]:
    """A signal that ends the command. SIGINT has its handler even where the suite was started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield int(getattr(signal, request.param))
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_the_page_and_a_server_for_runs_are_this_machine_s_only_and_end_with_the_command(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: int
) -> None:
    """Alone starts MLflow's server as `composer ui` does."""
    append(run_dir / JOURNAL, rows())
    append(run_dir / TIMING, timing())
    destination = MlflowTracker().destination(tmp_path / "runs", {})
    with ready_store(destination):
        experiment = MlflowStore(destination).experiment("walker")
    with socket.create_server((ui.HOST, 0)) as free:
        port = free.getsockname()[1]
    said: list[str] = []
    seen: dict[str, object] = {}
    before = psutil.Process().children(recursive=True)

    def say(text: str) -> None:
        said.append(text)
        with urlopen(f"http://{ui.HOST}:{port}/", timeout=30) as page:
            seen["page"] = page.status
        family = [child for child in psutil.Process().children(recursive=True) if child not in before]
        seen["addresses"] = {
            (connection.laddr.ip, connection.laddr.port)
            for process in family
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
        seen["family"] = family
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{ui.HOST}:{port}")
        for lost in (Upload.file, StoredRun.file):  # as if killed before the first acknowledgement
            seen["report"] = sync(run_dir)
            (run_dir / lost).unlink()
        seen["again"] = sync(run_dir)
        threading.Timer(0.1, os.kill, (os.getpid(), ending)).start()

    assert ui.serve(destination, "walker", port, say) == 0
    address = f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs"
    assert said == [f"{address}?workflowType=machine_learning&compareRunsMode=CHART  (Ctrl-C ends it)"], "no run yet"
    assert seen["page"] == 200 and seen["addresses"] == {("127.0.0.1", port)}
    report = seen["report"]
    assert isinstance(report, UploadReport) and report == seen["again"] and report.pending == 0
    with closing(sqlite3.connect(tmp_path / "mlflow" / "mlflow.db")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM metrics").fetchall() == [(len(expected()),)]
    family = seen["family"]
    assert isinstance(family, list) and family and not any(process.is_running() for process in family)
