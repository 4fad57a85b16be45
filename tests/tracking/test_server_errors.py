"""What is said of a server that refuses, word for word; nowhere a password."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from answering import answering

from composer.tracking.base import Destination
from composer.tracking.credentials import plain_error
from composer.tracking.mlflow_store import MlflowStore

BOTH = {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "hunter2"}
VARIABLES = (*BOTH, "MLFLOW_TRACKING_TOKEN")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, and an environment, without credentials."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def said(destination: Destination, experiment: str | None = "walker") -> str:
    """The message about the first call to a store that fails."""
    with pytest.raises(Exception) as failure:
        MlflowStore(destination).create_run("1", "run", {}, 0)
    return plain_error(failure.value, destination, experiment)


ASKS = "asks for a user and a password: set"
REFUSES = "does not accept the user and password in"


@pytest.mark.parametrize(
    ("variables", "source", "message"),
    [
        ({}, "environment", f"{ASKS} MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        (
            {},
            "blueprint",
            f"{ASKS} MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, with MLFLOW_TRACKING_URI=http://HOST",
        ),
        ({"MLFLOW_TRACKING_USERNAME": "me"}, "environment", f"{ASKS} MLFLOW_TRACKING_PASSWORD too"),
        (BOTH, "environment", f"{REFUSES} MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD: correct them"),
        ({"MLFLOW_TRACKING_TOKEN": "hunter2"}, "environment", f"{REFUSES} MLFLOW_TRACKING_TOKEN: correct them"),
        ({"file": "hunter2"}, "environment", f"{REFUSES} ~/.mlflow/credentials: correct them"),
    ],
)
def test_a_refused_password_is_named_by_its_place(
    variables: dict[str, str], source: str, message: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        if name == "file":
            (home / ".mlflow").mkdir()
            (home / ".mlflow" / "credentials").write_text(
                f"[mlflow]\nmlflow_tracking_username = me\nmlflow_tracking_password = {value}\n"
            )
        else:
            monkeypatch.setenv(name, value)
    with answering(401, "You are not authenticated.") as host:
        found = said(Destination(f"http://{host}", source))  # type: ignore[arg-type]
        assert found == f"http://{host} {message.replace('HOST', host)}"


def test_a_password_in_the_address_is_not_repeated() -> None:
    with answering(401, "You are not authenticated.") as host:
        found = said(Destination(f"http://me:hunter2@{host}", "environment"))
    assert found == f"http://***@{host} {REFUSES} MLFLOW_TRACKING_URI: correct them"


CURE = "have EDIT granted on it, or name another one with tracking.experiment"


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (403, "Permission denied", f"your user at http://HOST may not write to the experiment 'walker': {CURE}"),
        (
            403,
            '{"error_code": "PERMISSION_DENIED", "message": "no"}',
            f"your user at http://HOST may not write to the experiment 'walker': {CURE}",
        ),
        (
            403,
            "Invalid Host header - possible DNS rebinding attack detected",
            "http://HOST does not answer to this name: start its server with --allowed-hosts HOST",
        ),
        (
            404,
            "<!doctype html>\n<title>Not here</title>",
            "http://HOST answers, but MLflow is not at this address: correct MLFLOW_TRACKING_URI",
        ),
        (413, "too large", "http://HOST, or a proxy before it, takes no request of this size: raise its limit"),
        (502, "", "the proxy at http://HOST does not reach MLflow's server: see whether it is up"),
    ],
)
def test_an_answer_that_is_no_success_becomes_a_sentence(status: int, body: str, message: str) -> None:
    with answering(status, body) as host:
        assert said(Destination(f"http://{host}", "environment")) == message.replace("HOST", host)


def test_reading_without_rights_and_a_run_of_no_known_experiment() -> None:
    with answering(403, "Permission denied") as host:
        destination = Destination(f"http://{host}", "environment")
        with pytest.raises(Exception) as failure:
            MlflowStore(destination).experiment("walker")
        found = plain_error(failure.value, destination)
    assert found == f"your user at http://{host} may not read the experiment of the run: {CURE}"


def test_a_server_that_is_away_or_speaks_another_protocol() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
        assert said(Destination(uri, "environment")) == (
            f"no server listens at {uri}: start it, or correct MLFLOW_TRACKING_URI"
        )
    with answering(200, "{}") as host:
        found = said(Destination(f"https://{host}", "environment"))
    assert found == f"https://{host} has no TLS: write http:// in MLFLOW_TRACKING_URI"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(Caused by NameResolutionError(\"Failed to resolve 'lab'\"))", "no host lab:5432 is known: correct "),
        ("SSLError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]')", "the certificate of postgresql://me:***@lab:5432/runs is "),
        ("Read timed out. (read timeout=5)", "postgresql://me:***@lab:5432/runs has not answered in time: see whether"),
        ("No module named 'psycopg2'", "the driver of the database is absent: pip install 'rl-composer[server]'"),
        (
            'FATAL: password authentication failed for user "me"',
            "the database does not accept the user and password in",
        ),
        ("403 Client Error: FORBIDDEN for url: http://lab/artifacts/run.json", "your user at postgresql://me:***@lab:"),
        ("something else at //me:hunter2@lab", "ValueError: something else at //***@lab"),
    ],
)
def test_texts_of_networks_and_databases(text: str, message: str) -> None:
    destination = Destination("postgresql://me:hunter2@lab:5432/runs", "environment")
    found = plain_error(ValueError(text), destination)
    assert found.startswith(message) and "hunter2" not in found
