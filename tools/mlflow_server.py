"""MLflow's own server with users and passwords, on a Postgres of its own: a study of four runs, every row there.

``python -m tools.mlflow_server`` starts both in a temporary folder, trains a study in two processes at a time, compares
every row of every journal with what MLflow's client reads, prints a table, and ends what it started. ``--kill`` kills
the MLflow server while the first runs train, and starts it again when all have ended; `composer sync` then sends the
rest. Exits with 1 where a row is missing or there twice. It needs the extra ``server`` and the programs of Postgres.
Test: tests/tracking/test_mlflow_server.py.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from composer.spec.run_files import read_table
from composer.tracking.journal_points import JournalPoints
from composer.tracking.page.names import DEFAULT
from composer.tracking.points import PARENT
from composer.tracking.records import JOURNAL, RUN, TIMING, StoredRun, Tracking, Upload, count_rows
from composer.tracking.ui import ENVIRONMENT, HOST, START_SECONDS, await_answer
from tools import postgres

if TYPE_CHECKING:
    from mlflow import MlflowClient

ROOT: Final = Path(__file__).parents[1]
COMPOSER: Final = (sys.executable, "-c", "from composer.cli import main; main()")
ADMIN: Final = "admin"
EXTRA: Final = ("psycopg2", "flask_wtf")
SYSTEM: Final = "system/"
"""Samples of the machine: no journal has them."""
STAGES: Final = ("start", "study", "reading")
STUDY: Final = """\
study = 1
name = "four"
description = "Four widths."
blueprint = "warm_start/digits"
seeds = 2

[axis]
width = [8, 16, 24, 32]

[set]
"networks.model.trunk.width" = "${axis.width}"
"environment.phases" = [{ updates = 10, subset = 0.1 }, { updates = 10 }]
"training.env_steps" = 20
"training.log_every" = 5
"evaluation.every" = 10
"checkpoint.every" = 20
"compute.compile" = "never"
"""
SETTINGS: Final = """\
[mlflow]
default_permission = READ
database_uri = {users}
admin_username = {admin}
auth_cache_ttl_seconds = 60
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


def absent() -> str | None:
    """What this machine lacks for the server, as a reason to skip; None where nothing is missing."""
    if missing := [name for name in EXTRA if importlib.util.find_spec(name) is None]:
        return f"the extra 'server' is not installed: {', '.join(missing)}"
    return postgres.absent()


class Server:
    """MLflow's server with basic authentication; it may be killed, and started again at the same address."""

    def __init__(self, folder: Path, databases: str) -> None:
        self._folder, self._port = folder, postgres.free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.uri, self.password = f"http://{HOST}:{self._port}", secrets.token_urlsafe(16)
        settings = folder / "auth.ini"
        settings.write_text(SETTINGS.format(users=f"{databases}users", admin=ADMIN))
        plain = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_TRACKING_")}
        self._environment = (
            plain
            | ENVIRONMENT
            | {
                "MLFLOW_AUTH_CONFIG_PATH": str(settings),
                "MLFLOW_AUTH_ADMIN_PASSWORD": self.password,
                "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(16),
                "MLFLOW_BACKEND_STORE_URI": f"{databases}runs",
                "MLFLOW_ARTIFACTS_DESTINATION": str(folder / "artifacts"),
                "MLFLOW_PORT": str(self._port),
            }
        )

    def login(self, user: str = ADMIN, password: str | None = None) -> dict[str, str]:
        """The variables with which MLflow's client, and composer, log in; by default as the administrator."""
        return {
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_TRACKING_USERNAME": user,
            "MLFLOW_TRACKING_PASSWORD": self.password if password is None else password,
        }

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-P", "-m", "mlflow", "server", "--app-name", "basic-auth", "--serve-artifacts"]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        await_answer(self._process, self._port)

    def kill(self) -> None:
        """Kill it and its workers as a power cut would; does nothing where it does not run."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextmanager
def serving() -> Iterator[Server]:
    """An MLflow server with basic authentication on a new Postgres, until the block ends."""
    with postgres.postgres(("runs", "users")) as uri, tempfile.TemporaryDirectory(prefix="mlflow-") as name:
        server = Server(Path(name), uri)
        try:
            server.start()
            yield server
        finally:
            server.kill()


class Compared(NamedTuple):
    """What a run's journals and the store have of it."""

    rows: int
    points: int
    found: int
    missing: int
    twice: int


def compare(client: MlflowClient, run_dir: Path) -> Compared:
    """Compare the points that a run's journals make with those that MLflow's client reads back."""
    tracking, stored, run = Tracking.load(run_dir), StoredRun.load(run_dir), read_table(run_dir / RUN)
    assert tracking is not None and stored is not None, f"{run_dir} was not uploaded"
    wanted: Counter[Any] = Counter()
    for name in (JOURNAL, TIMING):
        points = tracking.tracker().points(run["seeds"], tracking.bounds(), tracking.headline or DEFAULT)
        journal = JournalPoints(run_dir / name, points, 0)
        journal.pull(sys.maxsize)
        wanted.update(tuple(point) for _, points in journal.take(sys.maxsize) for point in points)
    found: Counter[Any] = Counter()
    for role, run_id in {PARENT: stored.run_id, **stored.children}.items():
        for name in client.get_run(run_id).data.metrics:
            if not name.startswith(SYSTEM):
                history = client.get_metric_history(run_id, name)
                found.update((role, name, each.step, each.value) for each in history)
    missing, surplus = wanted - found, found - wanted
    return Compared(count_rows(run_dir), wanted.total(), found.total(), missing.total(), surplus.total())


def train(folder: Path, server: Server, kills: bool) -> None:
    """Train the study in two processes at a time; ``kills`` takes the server away once it has the first rows."""
    (folder / "four.toml").write_text(STUDY)
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | server.login() | {"PYTHONPATH": path}
    command = [*COMPOSER, "study", "run", "four.toml", "--jobs", "2"]
    with subprocess.Popen(command, cwd=folder, env=environment) as study:
        while kills and study.poll() is None:
            if any(map(_has_rows, _runs(folder))):
                server.kill()
                break
            time.sleep(0.1)
    if study.returncode:
        raise subprocess.CalledProcessError(study.returncode, command)
    if kills:
        server.start()
        for run_dir in _runs(folder):
            subprocess.run([*COMPOSER, "sync", str(run_dir)], check=True, cwd=folder, env=environment)


def await_rows(run_dirs: Sequence[Path]) -> None:
    """Wait until the store has rows of each of these runs. Raises RuntimeError after two minutes."""
    deadline = time.monotonic() + START_SECONDS
    while not all(map(_has_rows, run_dirs)):
        if time.monotonic() > deadline:
            raise RuntimeError("no rows have arrived")
        time.sleep(0.1)


def _has_rows(run_dir: Path) -> bool:
    upload = Upload.load(run_dir)
    return upload is not None and any(upload.acknowledged.values())


def _runs(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob(f"**/{Tracking.file}"))


def table(runs: Sequence[Compared], seconds: Sequence[float]) -> str:
    """The sums over runs, and the seconds of each stage, as Markdown."""
    sums = [sum(column) for column in zip(*runs, strict=True)]
    head = [
        "runs",
        "rows in journals",
        "points",
        "read back",
        "missing",
        "twice",
        *(f"{stage}, s" for stage in STAGES),
    ]
    values = [len(runs), *sums, *(f"{value:.1f}" for value in seconds)]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in (head, ["---:"] * len(head), values))


def main() -> int:
    """Train the study against a server and print what was compared; 0 if MLflow has every row once."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--kill", action="store_true", help="kill the server while runs train, and sync afterwards")
    kills = parser.parse_args().kill
    if reason := absent():
        print(reason, file=sys.stderr)
        return 2
    marks = [time.monotonic()]
    with serving() as server, tempfile.TemporaryDirectory(prefix="study-") as name:
        marks.append(time.monotonic())
        train(Path(name), server, kills)
        marks.append(time.monotonic())
        os.environ.update(server.login())
        from mlflow import MlflowClient

        client = MlflowClient(server.uri)
        found = [compare(client, run_dir) for run_dir in _runs(Path(name))]
        marks.append(time.monotonic())
    print(table(found, [after - before for before, after in pairwise(marks)]))
    return int(len(found) != 4 or any(each.missing or each.twice for each in found))


if __name__ == "__main__":
    sys.exit(main())
