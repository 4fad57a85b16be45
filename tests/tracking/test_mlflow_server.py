"""MLflow's own server, with users and passwords on Postgres, against real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tracking_run import append, new_run, rows, timing

from composer.tracking.mlflow_tracker import MlflowTracker
from composer.tracking.records import JOURNAL, TIMING, RunDescription
from composer.tracking.uploader import Uploader, sync
from tools.mlflow_server import Server, absent, await_rows, compare, serving

REASON = absent()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(REASON is not None, reason=str(REASON)),
    # MLflow's own, on its import and with the SQLAlchemy that it asks for.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that the tests share."""
    with serving() as found:
        yield found


@pytest.fixture
def login(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Log in as the administrator."""
    for name, value in server.login().items():
        monkeypatch.setenv(name, value)


def half_a_run(path: Path) -> Path:
    found = new_run(path, path.name)
    append(found / JOURNAL, rows(0, 4))
    append(found / TIMING, timing(0, 4))
    return found


@pytest.mark.usefixtures("login")
def test_two_processes_send_every_row_once_through_a_kill_of_the_server(server: Server, tmp_path: Path) -> None:
    """Alone sends by two processes at once to MLflow's server on Postgres; it is killed halfway, and comes back."""
    from mlflow import MlflowClient

    runs = [half_a_run(tmp_path / "runs" / name) for name in ("a", "b")]
    said = RunDescription(experiment="walker", parameters={"algorithm": {"kind": "sac"}})
    tracker = MlflowTracker(pictures=False)
    uploaders = [Uploader.start(run_dir, tracker, said, tmp_path / "runs") for run_dir in runs]
    await_rows(runs)
    server.kill()
    for run_dir in runs:
        append(run_dir / JOURNAL, rows(4), resume_at=(run_dir / JOURNAL).stat().st_size)
        append(run_dir / TIMING, timing(4), resume_at=(run_dir / TIMING).stat().st_size)
    server.start()
    reports = [uploader.finish("FINISHED", timeout=60) for uploader in uploaders]
    assert [(each.pending, each.message) for each in reports] == [(0, f"25 rows in MLflow ({server.uri})")] * 2
    sync(runs[0])
    found = [compare(MlflowClient(server.uri), run_dir) for run_dir in runs]
    assert [(each.rows, each.points, each.found, each.missing, each.twice) for each in found] == [
        (25, 81, 81, 0, 0)
    ] * 2
