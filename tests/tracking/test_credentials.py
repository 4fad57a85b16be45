"""Credentials go to the host that the environment names, and nowhere else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tracking_run import append, rows

from composer.tracking.base import Destination, uri_problem
from composer.tracking.credentials import is_trusted, upload_environment, withheld_note
from composer.tracking.mlflow_tracker import MlflowTracker
from composer.tracking.records import JOURNAL, Ended, RunDescription, Tracking
from composer.tracking.uploader import Uploader, sync

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

SECRETS = {
    "MLFLOW_TRACKING_TOKEN": "hunter2",
    "MLFLOW_TRACKING_USERNAME": "hunter2",
    "MLFLOW_TRACKING_PASSWORD": "hunter2",
    "MLFLOW_TRACKING_AUTH": "hunter2",
    "MLFLOW_TRACKING_AWS_SIGV4": "true",
    "AWS_SECRET_ACCESS_KEY": "hunter2",
    "AZURE_STORAGE_CONNECTION_STRING": "hunter2",
    "GOOGLE_APPLICATION_CREDENTIALS": "/hunter2.json",
    "DATABRICKS_TOKEN": "hunter2",
    "PGPASSWORD": "hunter2",
    "MYSQL_PWD": "hunter2",
    "ANYTHING_ELSE": "hunter2",
}


def named(uri: str) -> Destination:
    """The store of a blueprint that names this server."""
    return MlflowTracker(uri=uri).destination(Path("runs"), {})


@pytest.mark.parametrize(
    ("environment", "uri", "trusted"),
    [
        ("https://lab.org", "https://lab.org", True),
        ("https://me:pw@LAB.org:443/a", "https://lab.org/b", True),
        ("http://lab.org:80", "http://lab.org/", True),
        ("http://[::1]:5000", "http://[::1]:5000", True),
        ("http://lab.org", "https://lab.org", False),
        ("https://lab.org", "http://lab.org", False),
        ("https://lab.org", "https://lab.org:8443", False),
        ("https://lab.org", "https://lab.org.evil.org", False),
        ("https://lab.org", "https://evil.org/lab.org", False),
        ("https://lab.org", "https://evil.org/#lab.org", False),
        ("https://lab.org", "https://evil.org?lab.org", False),
        ("https://lab.org", "https://tracking.lab.org", False),
        ("postgresql://lab.org/a", "postgresql://lab.org/b", True),
        ("postgresql://lab.org/a", "postgresql://evil.org/a", False),
        ("databricks", "databricks", True),
        ("databricks://one", "databricks://two", False),
        ("sqlite:///m.db", "https://evil.org", False),
        (None, "https://evil.org", False),
        (None, "databricks", False),
    ],
)
def test_credentials_are_for_the_host_that_the_environment_names(
    environment: str | None, uri: str, trusted: bool
) -> None:
    variables = SECRETS | {"PATH": "/bin", "LANG": "C", "HTTPS_PROXY": "p", "HOME": "/home/me"}
    variables |= {"MLFLOW_TRACKING_URI": environment} if environment else {}
    destination = named(uri)
    assert is_trusted(destination, variables) is trusted
    found = upload_environment(destination, variables)
    if trusted:
        assert found == variables and withheld_note(destination, variables) is None
        return
    assert not SECRETS.keys() & found.keys() and "hunter2" not in str(found)
    assert found["PATH"] == "/bin" and found["HTTPS_PROXY"] == "p" and found["HOME"] == "/dev/null"
    note = withheld_note(destination, variables)
    assert note and "MLFLOW_TRACKING_URI names" in note and f"not sent to {uri}" in note and "hunter2" not in note


@pytest.mark.parametrize(
    "uri",
    ["http://lab.org\\@evil.org/", "http://evil.org\\lab.org", "http://evil org", "http://lab.org:80:81", "http://a\tb",
     "http://lab.org%40evil.org", "http://lab.org;evil.org", "http:///path", "http://lab.org:port"],
)  # fmt: skip
def test_a_host_that_parsers_read_differently_is_refused(uri: str) -> None:
    assert uri_problem(uri, from_blueprint=False) is not None or named(uri).uri.startswith("http:///")
    if not uri.startswith("http:///"):
        with pytest.raises(ValueError, match="uri"):
            named(uri)


def test_a_database_file_and_no_credentials_need_no_note() -> None:
    assert withheld_note(named("sqlite:///m.db"), SECRETS) is None
    assert withheld_note(named("https://evil.org"), {"PATH": "/bin"}) is None


class Server(ThreadingHTTPServer):
    """Answers 404, or leads to another server, and keeps the headers of every request."""

    def __init__(self, leads_to: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.leads_to, self.headers, self.asked = leads_to, list[dict[str, str]](), threading.Event()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        if self.server.leads_to:
            self.send_response(302)
            self.send_header("Location", self.server.leads_to + self.path)
        else:
            self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.asked.set()

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def serving(leads_to: str | None = None) -> Iterator[Server]:
    with Server(leads_to) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with credentials, and an environment with more of them."""
    folder = tmp_path / "home"
    (folder / ".mlflow").mkdir(parents=True)
    (folder / ".mlflow" / "credentials").write_text(
        "[mlflow]\nmlflow_tracking_username = me\nmlflow_tracking_password = hunter2\n"
    )
    (folder / ".netrc").write_text("default login me password hunter2\n")
    (folder / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder


def to(run_dir: Path, uri: str) -> Path:
    tracking = Tracking.load(run_dir)
    assert tracking is not None
    tracking.uri, tracking.source = uri, "blueprint"
    tracking.save(run_dir)
    append(run_dir / JOURNAL, rows())
    Ended("FINISHED", 5).save(run_dir)
    return run_dir


@pytest.mark.parametrize("kind", ["token", "password", "file", "netrc"])
def test_a_server_that_a_run_names_gets_no_credentials(
    kind: str, run_dir: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "token":
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "hunter2")
    elif kind == "password":
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    (home / ".netrc").rename(home / ("x" if kind == "file" else ".netrc"))
    (home / ".mlflow" / "credentials").rename(home / ".mlflow" / ("x" if kind == "netrc" else "credentials"))
    with serving() as theirs, serving() as ours:
        found = sync(to(run_dir, theirs.uri))
        assert theirs.headers and not any("authorization" in each for each in theirs.headers)
        assert (
            not found.is_complete and "credentials go only to the host that MLFLOW_TRACKING_URI names" in found.message
        )
        for environment in (ours.uri, theirs.uri):
            theirs.headers.clear()
            monkeypatch.setenv("MLFLOW_TRACKING_URI", environment)
            found = sync(run_dir)
            sent = any("authorization" in each for each in theirs.headers)
            assert sent is (environment == theirs.uri) and not ours.headers
        assert "credentials go" not in found.message


def test_a_server_that_leads_to_another_one_does_not_pass_them_on(
    run_dir: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".netrc").unlink()
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "hunter2")
    with serving() as theirs, serving(leads_to=theirs.uri) as ours:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", ours.uri)
        sync(to(run_dir, ours.uri))
        assert any("authorization" in each for each in ours.headers) and theirs.headers
        assert not any("authorization" in each for each in theirs.headers)


@pytest.mark.slow
def test_the_uploader_of_a_run_has_none_of_them(run_dir: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone lets the process that uploads ask a server."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "hunter2")
    with serving() as theirs:
        uploader = Uploader.start(run_dir, MlflowTracker(uri=theirs.uri), RunDescription(), run_dir.parent)
        assert uploader.note and "MLFLOW_TRACKING_TOKEN" in uploader.note
        while not theirs.asked.wait(1):
            assert uploader._process is not None and uploader._process.poll() is None
        uploader.finish("FINISHED", timeout=0)
        assert not any("authorization" in each for each in theirs.headers)
