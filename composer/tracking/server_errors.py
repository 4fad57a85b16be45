"""What a tracking server refuses, or why it cannot be reached, as a sentence with the cure.

No credential is repeated: a sentence names the variable or the file that has it. It recognises the texts of MLflow's
client, ``requests`` and Postgres. Tests: tests/tracking/test_server_errors.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from composer.tracking.base import URI_VARIABLE, Destination

USER: Final = "MLFLOW_TRACKING_USERNAME"
PASSWORD: Final = "MLFLOW_TRACKING_PASSWORD"
TOKEN: Final = "MLFLOW_TRACKING_TOKEN"
STATUS: Final = re.compile(
    r"failed with error code (\d{3}) != |too many (\d{3}) error responses|^(\d{3}) (?:Client|Server) Error"
)
CODES: Final = {"UNAUTHENTICATED": 401, "CUSTOMER_UNAUTHORIZED": 401, "PERMISSION_DENIED": 403}
"""Status of answers in JSON, by MLflow's names of errors."""
READING: Final = re.compile(r"/(experiments/get|runs/get|runs/search|metrics/get)")
REASONS: Final = (
    (r"Invalid Host header", "{store} does not answer to this name: start its server with --allowed-hosts {host}"),
    (r"NameResolutionError|could not translate host name", f"no host {{host}} is known: correct {URI_VARIABLE}"),
    (r"Connection refused", f"no server listens at {{store}}: start it, or correct {URI_VARIABLE}"),
    (r"WRONG_VERSION_NUMBER", f"{{store}} has no TLS: write http:// in {URI_VARIABLE}"),
    (
        r"CERTIFICATE_VERIFY_FAILED",
        "the certificate of {store} is not trusted: set MLFLOW_TRACKING_SERVER_CERT_PATH to that of its issuer",
    ),
    (r"timed out|TimeoutError", "{store} has not answered in time: see whether it is up, and reachable from here"),
    (
        r"RemoteDisconnected|Connection reset|Connection aborted|closed the connection",
        "{store} has closed the connection: see whether it is up",
    ),
    (r"No module named '(psycopg2|pymysql|pyodbc)'", "the driver of the database is absent: {driver}"),
    (
        r"password authentication failed|no password supplied",
        f"the database does not accept the user and password in {URI_VARIABLE}: correct them",
    ),
)
"""What the text of an error has, and the sentence for it."""
ANSWERS: Final = (
    (404, f"{{store}} answers, but MLflow is not at this address: correct {URI_VARIABLE}"),
    (413, "{store}, or a proxy before it, takes no request of this size: raise its limit"),
    (429, "{store} takes no more requests for now"),
    (500, "{store} has failed with an error of its own (500): its log has it"),
    (502, "the proxy at {store} does not reach MLflow's server: see whether it is up"),
    (503, "{store} is not ready"),
    (504, "the proxy at {store} does not reach MLflow's server in time: see whether it is up"),
)
"""Sentences for the status of an answer."""


def sentence(
    error: Exception, destination: Destination, environment: Mapping[str, str], experiment: str | None
) -> str | None:
    """The error of this store as a sentence; None for one that is not known. ``experiment`` is that of the run."""
    text = str(error)
    known = {"store": destination.shown, "host": _host(destination), "driver": _driver(text)}
    for pattern, found in REASONS:
        if re.search(pattern, text):
            return found.format_map(known)
    status = _status(error, text)
    if status == 401:
        return _login(destination, environment)
    if status == 403:
        return _rights(text, destination, experiment)
    return next((found.format_map(known) for number, found in ANSWERS if number == status), None)


def _status(error: Exception, text: str) -> int | None:
    if match := STATUS.search(text):
        return int(match[match.lastindex or 0])
    return CODES.get(str(getattr(error, "error_code", "")))


def _login(destination: Destination, environment: Mapping[str, str]) -> str:
    """What is wrong with the credentials, by where MLflow's client has read them."""
    has_user, has_password = (bool(environment.get(name)) for name in (USER, PASSWORD))
    home = Path(environment.get("HOME") or Path.home())
    kept = [f"~/{name}" for name in (".mlflow/credentials", ".netrc") if (home / name).is_file()]
    if has_user != has_password and not kept:
        return f"{destination.shown} asks for a user and a password: set {PASSWORD if has_user else USER} too"
    if has_user or has_password:
        found = f"{USER} and {PASSWORD}"
    elif environment.get(TOKEN):
        found = TOKEN
    elif "@" in urlsplit(destination.uri).netloc:
        found = URI_VARIABLE
    elif kept:
        found = kept[0]
    else:
        uri = f", with {URI_VARIABLE}={destination.shown}" if destination.source == "blueprint" else ""
        return f"{destination.shown} asks for a user and a password: set {USER} and {PASSWORD}{uri}"
    return f"{destination.shown} does not accept the user and password in {found}: correct them"


def _rights(text: str, destination: Destination, experiment: str | None) -> str:
    what = "read" if READING.search(text) else "write to"
    named = f"the experiment {experiment!r}" if experiment else "the experiment of the run"
    cure = "have EDIT granted on it, or name another one with tracking.experiment"
    return f"your user at {destination.shown} may not {what} {named}: {cure}"


def _host(destination: Destination) -> str:
    return urlsplit(destination.uri).netloc.rpartition("@")[2]


def _driver(text: str) -> str:
    missing = re.search(r"No module named '(\w+)'", text)
    name = missing[1] if missing else ""
    return "pip install 'rl-composer[server]'" if name == "psycopg2" else f"pip install {name}"
