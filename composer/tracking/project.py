"""Where a blueprint may make a database: within the project, or where the user says so.

Tests: tests/tracking/test_places.py.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from composer.spec.wording import quote
from composer.tracking.base import URI_VARIABLE, Destination, StoreRefused, Tracker, located
from composer.tracking.moved_store import APPLICATION

ANYWHERE = Path("/")
"""The folder of a store that the user has named."""


def admitted(tracker: Tracker, runs_dir: Path, environment: Mapping[str, str] = os.environ) -> Destination | None:
    """The store of runs in ``runs_dir``; None for no store. Raises StoreRefused, for one outside of the project too."""
    found = tracker.destination(runs_dir, environment)
    if found is not None and tracker.folder != ANYWHERE:
        ensure_admitted(found, [runs_dir.absolute().parent, *([tracker.folder] if tracker.folder else [])], environment)
    return found


def ensure_admitted(
    destination: Destination, folders: Iterable[Path], environment: Mapping[str, str] = os.environ
) -> None:
    """Raise StoreRefused for a database outside of ``folders`` and of the working folder.

    One that the environment names, or in which composer has runs already, is admitted. Links are followed: the place of
    the file counts.
    """
    database = destination.database
    if database is None or names(environment, destination):
        return
    allowed = [folder.resolve() for folder in (*folders, Path.cwd())]
    # The root folder is the working folder of many containers, and no project.
    allowed = [folder for folder in allowed if folder != folder.parent]
    places = [database.resolve(), *([destination.artifacts.resolve()] if destination.artifacts else [])]
    outside = [place for place in places if not any(place.is_relative_to(folder) for folder in allowed)]
    if outside and not _has_runs(database):
        raise StoreRefused(
            f"the tracking store {outside[0]} is outside of the project {allowed[0] if allowed else ''}: if it is "
            f"meant, say so with {URI_VARIABLE}={quote(destination.uri)}, or tracking.uri=... on the command line"
        )


def names(environment: Mapping[str, str], destination: Destination) -> bool:
    """Whether ``MLFLOW_TRACKING_URI`` names this store."""
    uri = environment.get(URI_VARIABLE)
    return bool(uri) and located(str(uri), "environment", Path()).uri == destination.uri


def _has_runs(database: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            if connection.execute("PRAGMA application_id").fetchone() == (APPLICATION,):
                return True
            found = connection.execute("SELECT 1 FROM tags WHERE key = 'composer.run_id' LIMIT 1").fetchone()
            return found is not None
    except (sqlite3.Error, ValueError):
        return False
