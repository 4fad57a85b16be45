"""Where a blueprint may make a store: within the project, or where the user says so.

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

MARK = ".composer"
"""A file in every folder that is a store, made with it."""
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
    """Raise StoreRefused for a database or a folder outside of ``folders`` and of the working folder.

    One that the environment names, or in which composer has runs already, is admitted. Links are followed: the place of
    the file counts.
    """
    database, folder = destination.database, destination.folder
    if (database is None and folder is None) or names(environment, destination):
        return
    allowed = [each.resolve() for each in (*folders, Path.cwd())]
    # The root folder is the working folder of many containers, and no project.
    allowed = [each for each in allowed if each != each.parent]
    places = [place.resolve() for place in (database, folder, destination.artifacts) if place is not None]
    outside = [place for place in places if not any(place.is_relative_to(each) for each in allowed)]
    if outside and not (_is_own(places[0]) if database is None else _has_runs(database)):
        said = f"tracking.{'uri' if folder is None else 'directory'}=... on the command line"
        said = said if folder is not None else f"{URI_VARIABLE}={quote(destination.uri)}, or {said}"
        project = allowed[0] if allowed else ""
        raise StoreRefused(
            f"the tracking store {outside[0]} is outside of the project {project}: if it is meant, say so with {said}"
        )


def names(environment: Mapping[str, str], destination: Destination) -> bool:
    """Whether ``MLFLOW_TRACKING_URI`` names this store."""
    uri = environment.get(URI_VARIABLE)
    return bool(uri) and located(str(uri), "environment", Path()).uri == destination.uri


def _is_own(folder: Path) -> bool:
    """Whether composer made this folder of a store, which has a mark."""
    return (folder / MARK).is_file()


def _has_runs(database: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            if connection.execute("PRAGMA application_id").fetchone() == (APPLICATION,):
                return True
            found = connection.execute("SELECT 1 FROM tags WHERE key = 'composer.run_id' LIMIT 1").fetchone()
            return found is not None
    except (sqlite3.Error, ValueError):
        return False
