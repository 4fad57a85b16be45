"""MLflow's own server, with users and passwords on Postgres, against real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tracking_run import append, new_run, rows, timing

from composer.tracking.base import Destination
from composer.tracking.credentials import plain_error
from composer.tracking.mlflow_store import MlflowStore
from composer.tracking.mlflow_tracker import MlflowTracker
from composer.tracking.page.views import study_key
from composer.tracking.records import JOURNAL, TIMING, RunDescription
from composer.tracking.ui import on_server
from composer.tracking.uploader import Uploader, sync
from tools.mlflow_server import Compared, Server, absent, await_rows, compare, serving

REASON = absent()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(REASON is not None, reason=str(REASON)),
    # MLflow's own, on its import and with the SQLAlchemy that it asks for.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:starlette.middleware.wsgi is deprecated"),
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
    said = RunDescription(tags={"study": "four"})
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
    assert found == [Compared(rows=25, points=81, found=81, missing=0, twice=0)] * 2
    there = Destination(server.uri, "environment")
    for study, view in ((None, "overview"), ("four", study_key("four"))):
        assert on_server(there, "composer", study).endswith(f"&compareRunsMode=CHART&viewStateShareKey={view}")


@pytest.mark.usefixtures("login")
def test_wrong_passwords_and_missing_rights_are_said(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone asks MLflow's own authentication; the texts of its answers are in test_server_errors.py too."""
    from mlflow.server import get_app_client

    store = MlflowStore(Destination(server.uri, "environment"))
    experiment, mine = store.experiment("rights"), tmp_path / "run.json"
    run_id = store.create_run(experiment, "run", {}, 0)
    mine.write_text("{}")
    users = get_app_client("basic-auth", server.uri)
    users.create_user("reader", "reader-password")

    def refusal(call: Callable[[], object]) -> str:
        with pytest.raises(Exception) as failure:
            call()
        return plain_error(failure.value, Destination(server.uri, "environment"), "rights")

    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong-password")
    assert "does not accept the user and password in MLFLOW" in refusal(lambda: store.experiment("rights"))
    for name, value in server.login("reader", "reader-password").items():
        monkeypatch.setenv(name, value)
    assert store.experiment("rights") == experiment
    for call in (lambda: store.create_run(experiment, "run", {}, 0), lambda: store.log_file(run_id, mine)):
        assert "may not write to the experiment 'rights': have EDIT granted" in refusal(call)
    with as_administrator(server):
        users.grant_user_permission("reader", "experiment", experiment, "EDIT")
    store.log_file(run_id, mine)
    with as_administrator(server):
        users.revoke_user_permission("reader", "experiment", experiment)
        users.grant_user_permission("reader", "experiment", experiment, "DENY")
    assert "may not read the experiment 'rights'" in refusal(lambda: store.experiment("rights"))


@contextmanager
def as_administrator(server: Server) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.login().items():
            patch.setenv(name, value)
        yield
