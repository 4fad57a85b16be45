"""``composer ui``: MLflow's web page of the runs, on this machine only, opened in the view that compares agents."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Final
from urllib.error import URLError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import urlopen

from composer.spec.errors import ComposerError
from composer.tracking.base import Destination
from composer.tracking.credentials import plain_error
from composer.tracking.page.links import OVERVIEW, TRAINING, VIEW_TAG, link
from composer.tracking.page.views import study_key, task_key
from composer.tracking.uploader import store_variables

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 10.0

# One worker and no job runner: a third of the start-up time and half the memory of MLflow's defaults.
ENVIRONMENT: Final = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_WORKERS": "1",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "PYTHONWARNINGS": "ignore",
    "MLFLOW_UVICORN_OPTS": "--log-level warning",
    "MLFLOW_HOST": HOST,
}


class ServerError(ComposerError):
    """MLflow's web page cannot be served; the message says why."""

    exit_code = 3


def serve(
    destination: Destination,
    experiment: str,
    port: int = 5000,
    say: Callable[[str], None] = print,
    *,
    study: str | None = None,
    show: Callable[[str], object] | None = None,
) -> int:
    """Serve the store until interrupted; ``say`` and ``show`` the link to the view of an experiment, or of a study.

    If the store is a server itself, nothing is served. Returns the server's exit code.

    Raises:
        ServerError: the port is taken, the store has no run of the study, or the server does not start or answer.
    """
    if destination.uri.startswith(("http://", "https://")):
        _show(on_server(destination, experiment, study), say, show)
        return 0
    _check_port(port)
    if destination.database is not None and not destination.database.exists():
        raise ServerError(f"there is no store at {destination.database}; --runs names the directory of its runs")
    with ExitStack() as stack:
        stack.enter_context(_ended_by_sigterm())
        if destination.database is not None:
            from composer.tracking.mlflow_store import ready_store

            stack.enter_context(ready_store(destination))
        found = address(port, destination, experiment, study)
        server = start(destination, port)
        stack.callback(stop, server)
        try:
            await_answer(server, port)
            _show(found, say, show, "  (Ctrl-C ends it)")
            return server.wait()
        except KeyboardInterrupt:
            return 0


def _show(found: str, say: Callable[[str], None], show: Callable[[str], object] | None, hint: str = "") -> None:
    say(f"{found}{hint}")
    if show is not None:
        show(found)


def browser() -> Callable[[str], object] | None:
    """What opens an address in the user's browser; None on a machine without a screen."""
    if sys.platform == "linux" and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))):
        return None
    import webbrowser

    return webbrowser.open


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the command and its server as Ctrl-C does; in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def start(destination: Destination, port: int) -> subprocess.Popen[bytes]:
    """Start MLflow's server. The environment passes the store's URI, as every user can read command lines."""
    environment = (
        os.environ | ENVIRONMENT | {"MLFLOW_PORT": str(port), "MLFLOW_BACKEND_STORE_URI": destination.client_uri}
    )
    if destination.artifacts is not None:
        environment["MLFLOW_ARTIFACTS_DESTINATION"] = destination.artifacts.as_uri()
        environment["MLFLOW_DEFAULT_ARTIFACT_ROOT"] = destination.artifacts.as_uri()
    command = [sys.executable, "-P", "-m", "mlflow", "server"]
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), start_new_session=True
    )


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the server and its workers, which have a process group of their own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(STOP_SECONDS)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def await_answer(server: subprocess.Popen[bytes], port: int) -> None:
    """Wait until the server answers. Raises ServerError if it ends first, or takes longer than two minutes."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise ServerError(f"MLflow's server ended with code {server.returncode}")
        try:
            with urlopen(f"http://{HOST}:{port}/health", timeout=2):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    raise ServerError(f"MLflow's server has not answered for {START_SECONDS:.0f} seconds")


def address(port: int, destination: Destination, experiment: str, study: str | None = None) -> str:
    """Address of the first view of an experiment, or of that of a study; of the list where there is no experiment yet.

    Where an experiment has several tasks the first view is that of the task of its newest run.
    Raises ServerError where the store has no run of the study.
    """
    view = OVERVIEW if study is None else study_key(study)
    found = experiment_id(destination, experiment) if study is None else _with_view(destination, view)
    if study is not None and found is None:
        raise ServerError(f"no run of a study {study!r} is in {destination.shown}")
    base = f"http://{HOST}:{port}/"
    if found is None:
        return f"{base}#/experiments?{TRAINING}"
    views = [view] if study is not None else [task_key(_newest_task(destination, found) or ""), view]
    return base + link(found, next((each for each in views if _with_view(destination, each, found)), None))


def on_server(destination: Destination, experiment: str, study: str | None = None) -> str:
    """As ``address``, on the server that is the store, without the user and password of its URI. It loads mlflow.

    Raises ServerError where the server does not answer, or has no run of the study.
    """
    try:
        with store_variables(destination):
            found = _there(destination, experiment, study)
    except Exception as error:  # Of the server or a network.
        raise ServerError(plain_error(error, destination, experiment)) from error
    if study is not None and found is None:
        raise ServerError(f"no run of a study {study!r} is in {destination.shown}")
    parts = urlsplit(destination.uri)
    base = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/") + "/", "", ""))
    return base + (link(*found) if found else f"#/experiments?{TRAINING}")


def _there(destination: Destination, experiment: str, study: str | None) -> tuple[str, str | None] | None:
    """The experiment of a server, by id, and its view; None where it has no such experiment."""
    from mlflow import MlflowClient

    client = MlflowClient(destination.client_uri)
    if study is None:
        found, views = client.get_experiment_by_name(experiment), [OVERVIEW]
    else:
        views = [study_key(study)]
        having, order = f"tags.`{VIEW_TAG}{views[0]}` LIKE '%'", ["last_update_time DESC"]
        found = next(iter(client.search_experiments(filter_string=having, order_by=order, max_results=1)), None)
    if found is None:
        return None
    there = {name.removeprefix(VIEW_TAG) for name in found.tags if name.startswith(VIEW_TAG)}
    if study is None and any(name.startswith("task-") for name in there):
        runs = client.search_runs([found.experiment_id], order_by=["start_time DESC"], max_results=1)
        views = [*(task_key(run.data.tags.get("task", "")) for run in runs), *views]
    return str(found.experiment_id), next((view for view in views if view in there), None)


def experiment_id(destination: Destination, name: str) -> str | None:
    """Id of an experiment in a SQLite store, read without loading mlflow; None where unknown."""
    return _one(destination, "SELECT experiment_id FROM experiments WHERE name = ?", name)


def _newest_task(destination: Destination, experiment: str) -> str | None:
    """The task of the run of an experiment that began last."""
    question = (
        "SELECT tags.value FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid WHERE tags.key = 'task'"
        " AND runs.lifecycle_stage = 'active' AND runs.experiment_id = ? ORDER BY runs.start_time DESC"
    )
    return _one(destination, question, experiment)


def _with_view(destination: Destination, view: str, experiment: str | None = None) -> str | None:
    """Id of the newest experiment, or of this one, that has a view of this key; None where there is none."""
    question = "SELECT experiment_id FROM experiment_tags WHERE key = ?"
    if experiment is not None:
        return _one(destination, f"{question} AND experiment_id = ?", VIEW_TAG + view, experiment)
    return _one(destination, f"{question} ORDER BY experiment_id DESC", VIEW_TAG + view)


def _one(destination: Destination, question: str, *values: str) -> str | None:
    database = destination.database
    if database is None:
        return None
    with closing(sqlite3.connect(database)) as connection:
        row = connection.execute(question, values).fetchone()
    return str(row[0]) if row else None


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ServerError(f"port {port} on {HOST}: {error.strerror}; choose another with --port") from error
