"""A store that was moved or copied: MLflow keeps absolute folders of artifacts in its database, which move with it.

Tests: tests/tracking/test_places.py.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

APPLICATION: Final = 0x636F6D70
"""SQLite's ``application_id`` of databases that composer made: their artifacts are next to them."""


def mark_as_own(database: Path) -> None:
    """Mark a database as made by composer."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION}")


def follow_database(database: Path, artifacts: Path, *, is_own: bool) -> None:
    """Bring the folders of artifacts in a database, which composer has made, to ``artifacts`` beside it.

    A run whose files are still where they were, and not here, keeps its folder. ``is_own`` says that composer made a
    database without a mark: those of older versions have none.
    """
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        if not is_own and connection.execute("PRAGMA application_id").fetchone() != (APPLICATION,):
            return
        found = connection.execute("SELECT artifact_location FROM experiments WHERE experiment_id = 0").fetchone()
        before, now = str(found[0] if found else "").removesuffix("/0"), artifacts.as_uri()
        if before == now or not before.startswith("file:///"):
            return
        _move(connection, "experiments", "experiment_id", "artifact_location", before, now)
        _move(connection, "runs", "run_uuid", "artifact_uri", before, now)


def _move(connection: sqlite3.Connection, table: str, key: str, column: str, before: str, now: str) -> None:
    rows = connection.execute(f"SELECT {key}, {column} FROM {table}").fetchall()
    for number, uri in rows:
        if uri is None or not (uri == before or uri.startswith(f"{before}/")):
            continue
        new = now + uri[len(before) :]
        there, here = local_path(uri), local_path(new)
        if table == "experiments" or (here and here.exists()) or not (there and there.exists()):
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (new, number))


def local_path(uri: str) -> Path | None:
    """The folder of artifacts on this machine that a URI names; None for servers and buckets."""
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file"):
        return None
    return Path(unquote(parts.path, errors="surrogateescape")) if parts.scheme else Path(uri)
