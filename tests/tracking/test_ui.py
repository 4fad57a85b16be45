"""``composer ui``: on this machine only, with the link that opens the charts, and gone when it ends."""

import os
import signal
import socket
import threading
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from composer.tracking import ui
from composer.tracking.base import Destination, MlflowTracker
from composer.tracking.mlflow_store import Store, held

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


def test_a_server_is_named_and_not_served() -> None:
    said: list[str] = []
    assert ui.serve(Destination("https://me:hunter2@host/x", "environment"), "composer", say=said.append) == 0
    assert said == ["the runs are at https://***@host/x"]


def test_a_port_that_is_taken_is_said_before_anything_starts(tmp_path: Path) -> None:
    destination = MlflowTracker().destination(tmp_path / "runs", {})
    with socket.create_server((ui.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ui.ServerError, match=f"port {port} on 127.0.0.1: .*; choose another with --port"):
            ui.serve(destination, "composer", port)
    assert not (tmp_path / "mlflow").exists()


@pytest.mark.slow
def test_the_page_is_served_to_this_machine_and_ends_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = MlflowTracker().destination(tmp_path / "runs", {})
    with held(destination):
        experiment = Store(destination).experiment("walker")
    with socket.create_server((ui.HOST, 0)) as free:
        port = free.getsockname()[1]
    said: list[str] = []
    seen: dict[str, object] = {}

    def say(text: str) -> None:
        said.append(text)
        with urlopen(f"http://{ui.HOST}:{port}/", timeout=30) as page:
            seen["page"] = page.status
        family = psutil.Process().children(recursive=True)
        seen["addresses"] = {
            (connection.laddr.ip, connection.laddr.port)
            for process in family
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
        seen["family"] = family
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()

    assert ui.serve(destination, "walker", port, say) == 0
    address = f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs"
    assert said == [f"{address}?workflowType=machine_learning&compareRunsMode=CHART  (Ctrl-C ends it)"]
    assert seen["page"] == 200 and seen["addresses"] == {("127.0.0.1", port)}
    family = seen["family"]
    assert isinstance(family, list) and family and not any(process.is_running() for process in family)
