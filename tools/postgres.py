"""A Postgres of its own in a temporary folder, for as long as a block lasts: for tools and tests that need a server."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from composer.tracking.ui import HOST

USER: Final = "mlflow"
START_SECONDS: Final = 60.0


def program(name: str) -> Path | None:
    """A program of Postgres: on the path, else of the newest version in Debian's folder; None where there is none."""
    if found := shutil.which(name):
        return Path(found)
    installed = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    return max(installed, key=lambda path: int(path.parts[4]) if path.parts[4].isdigit() else 0, default=None)


def absent() -> str | None:
    """Why this machine cannot run one; None where it can."""
    if missing := [name for name in ("initdb", "postgres") if program(name) is None]:
        return f"no Postgres on this machine: {', '.join(missing)}"
    if os.geteuid() == 0 and _nobody() is None:
        return "Postgres refuses root, and there is no user 'nobody'"
    return None


@contextmanager
def postgres(databases: Sequence[str]) -> Iterator[str]:
    """A new Postgres with these databases; gives its URI, to which a database's name is appended.

    Anybody on this machine may log in, and nothing is synced to the disk: for trials alone.
    """
    port, who = free_port(), _owner()
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        if who:
            os.chown(folder, who["user"], who["group"])
        who |= {"cwd": folder, "stdin": subprocess.DEVNULL}
        make = [str(program("initdb")), "-D", "data", "-U", USER, "--auth=trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(make, check=True, capture_output=True, **who)
        command = [str(program("postgres")), "-D", "data", "-k", name, "-h", HOST, "-p", str(port), "-F"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **who)
        try:
            _make(server, port, databases)
            yield f"postgresql+psycopg2://{USER}@{HOST}:{port}/"
        finally:
            server.send_signal(signal.SIGINT)  # Ends it at once, and cleans up.
            server.wait()


def _make(server: subprocess.Popen[bytes], port: int, databases: Sequence[str]) -> None:
    import psycopg2

    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            connection = psycopg2.connect(host=HOST, port=port, user=USER, dbname="postgres")
            break
        except psycopg2.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Postgres does not answer: {error}") from error
            time.sleep(0.1)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for name in databases:
            cursor.execute(f"CREATE DATABASE {name}")
    connection.close()


def free_port() -> int:
    """A port of this machine on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _owner() -> dict[str, Any]:
    """Who runs it: this user, but nobody in place of root."""
    nobody = _nobody()
    if os.geteuid() != 0 or nobody is None:
        return {}
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _nobody() -> pwd.struct_passwd | None:
    return next((each for each in pwd.getpwall() if each.pw_name == "nobody"), None)
