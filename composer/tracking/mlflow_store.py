"""The MLflow store: a SQLite database, created and migrated atomically, and the few calls that the uploader needs.

MLflow's own first start is not safe: a kill during its migration leaves a database that no later start can open, and
processes that start together crash each other. Here a database is built in a temporary file, under a lock, and renamed.
Users share the lock while they have the database open, so nobody writes to a file that is being replaced.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from composer.tracking.base import Destination, quoted
from composer.tracking.credentials import plain_error
from composer.tracking.dataset import Dataset
from composer.tracking.locks import lock_exclusive, lock_shared, open_lock, unlock
from composer.tracking.media.mlflow_pictures import log_picture, pictures
from composer.tracking.mlflow_dataset import log_dataset
from composer.tracking.mlflow_search import condition
from composer.tracking.models.logged import log_models
from composer.tracking.moved_store import follow_database, local_path, mark_as_own
from composer.tracking.page.arrange import arrange, color_runs
from composer.tracking.page.facts import PageFacts
from composer.tracking.points import Point
from composer.tracking.store import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Engine

CALL_METRICS: Final = 1000
CALL_PARAMETERS: Final = 100
VALUE_LIMIT: Final = 6000
TAG_LIMIT: Final = 5000
MIGRATION_SECONDS: Final = 120.0
LOCK_SECONDS: Final = 1.0


@contextmanager
def ready_store(destination: Destination) -> Iterator[None]:
    """Create or migrate the destination's database, and keep it in place meanwhile; does nothing for a server."""
    database = destination.database
    if database is None:
        yield
        return
    artifacts = destination.artifacts or database.parent / "artifacts"
    database.parent.mkdir(parents=True, exist_ok=True)
    lock = open_lock(database.with_name(f".{database.name}.lock"))
    try:
        deadline = time.monotonic() + MIGRATION_SECONDS
        lock_shared(lock)
        while not is_ready(database):
            # The process that gets the exclusive lock does the work, then shares it. The others retry every second.
            unlock(lock)
            if lock_exclusive(lock, LOCK_SECONDS):
                if not is_ready(database):
                    _make(database, artifacts)
            elif time.monotonic() > deadline:
                raise StoreError(f"{database}: must be migrated, but is in use; try again when its runs have ended")
            lock_shared(lock)
        follow_database(database, artifacts, is_own=destination.source == "embedded")
        yield
    finally:
        os.close(lock)


def is_ready(database: Path) -> bool:
    """Whether the database exists with the schema of the installed MLflow."""
    from mlflow.store.db import utils

    untyped: Any = utils
    return bool(revision(database) == untyped._get_latest_schema_revision())


def revision(database: Path) -> str | None:
    """Name of the database's schema; None where the database is absent or empty."""
    if not database.exists() or database.stat().st_size == 0:
        return None
    try:
        # Not read-only: after a kill SQLite may have to roll back when it opens the file.
        with closing(sqlite3.connect(database, timeout=60)) as connection:
            rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{database}: is no MLflow database ({error}); move it away") from error
    return str(rows[0][0]) if rows else None


def _make(database: Path, artifacts: Path) -> None:
    """Create or migrate the database in a temporary file and rename it. The caller holds the lock exclusively."""
    for leftover in database.parent.glob(f".{database.name}.new*"):
        leftover.unlink()
    before = revision(database)
    temporary = database.with_name(f".{database.name}.new")
    if before is None:
        engine = _create(temporary, artifacts)
    else:
        engine = _migrate(database, temporary)
    # Closing the last connection folds SQLite's side files into the database.
    engine.dispose()
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    if before is not None:
        backup = database.with_name(f"{database.name}.before-{before}")
        backup.unlink(missing_ok=True)
        os.link(database, backup)
    temporary.replace(database)


def _create(path: Path, artifacts: Path) -> Engine:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    untyped: Any = SqlAlchemyStore
    engine: Engine = untyped(_client_uri(path), artifacts.as_uri()).engine
    engine.dispose()
    mark_as_own(path)
    return engine


def _client_uri(path: Path) -> str:
    return Destination(f"sqlite:///{quoted(path)}", "embedded").client_uri


def _migrate(database: Path, path: Path) -> Engine:
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from mlflow.store.db import utils
    from sqlalchemy.exc import SQLAlchemyError

    with closing(sqlite3.connect(database, timeout=60)) as source, closing(sqlite3.connect(path)) as copy:
        source.backup(copy)
    untyped: Any = utils
    engine: Engine = untyped.create_sqlalchemy_engine(_client_uri(path))
    try:
        untyped._upgrade_db(engine)
    except (CommandError, MlflowException, SQLAlchemyError) as error:
        engine.dispose()
        problem = f"{database}: its schema {revision(database)} cannot be brought to that of the installed MLflow"
        raise StoreError(f"{problem} ({error}); it is left as it was") from error
    return engine


@contextmanager
def opened(destination: Destination) -> Iterator[MlflowStore]:
    """An MLflow store whose database is in place, and stays there meanwhile."""
    with ready_store(destination):
        yield MlflowStore(destination)


class MlflowStore:
    """The calls that the uploader makes to an MLflow store. Every method may raise network errors."""

    def __init__(self, destination: Destination) -> None:
        from mlflow import MlflowClient

        self._destination = destination
        uri = destination.client_uri
        self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    def experiment(self, name: str) -> str:
        """Id of the experiment of this name, created where it is missing."""
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(name)
        if found is None:
            artifacts = self._destination.artifacts
            try:
                return str(self._client.create_experiment(name, artifacts.as_uri() if artifacts else None))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = self._client.get_experiment_by_name(name)  # another process created it
        if found is None or found.lifecycle_stage != "active":
            raise StoreError(f"the experiment {name!r} was deleted in MLflow; restore it there, or name another")
        return str(found.experiment_id)

    def find_run(self, experiment_id: str, tags: Mapping[str, str]) -> str | None:
        """Id of the run with these tags, such as a killed uploader left it; None where there is none."""
        wanted = " AND ".join(condition(name, "=", value) for name, value in tags.items())
        runs = self._client.search_runs([experiment_id], wanted, max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def has_other(self, experiment_id: str, tags: Mapping[str, str], name: str, value: str) -> bool:
        """Whether a run has these tags, and another value of the tag ``name``."""
        conditions = [*(condition(each, "=", text) for each, text in tags.items()), condition(name, "!=", value)]
        return bool(self._client.search_runs([experiment_id], " AND ".join(conditions), max_results=1))

    def tag(self, run_id: str, name: str) -> str | None:
        """A tag of a run; None where it has none of this name."""
        found: str | None = self._client.get_run(run_id).data.tags.get(name)
        return found

    def create_run(self, experiment_id: str, name: str, tags: Mapping[str, str], start_time: int) -> str:
        """Create a run; ``start_time`` in milliseconds since the epoch."""
        run = self._client.create_run(experiment_id, start_time=start_time, tags=dict(tags), run_name=name)
        return str(run.info.run_id)

    def revive(self, run_id: str) -> Literal["active", "restored"] | None:
        """Find a run, and restore it if it was deleted; None where it is gone.

        Raises StoreError where its experiment was deleted.
        """
        from mlflow.exceptions import MlflowException

        try:
            info = self._client.get_run(run_id).info
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        if info.lifecycle_stage != "active":
            experiment = self._client.get_experiment(info.experiment_id)
            if experiment.lifecycle_stage != "active":
                raise StoreError(f"the experiment {experiment.name!r} was deleted in MLflow; restore it there")
            self._client.restore_run(run_id)
            return "restored"
        return "active"

    def log_parameters(self, run_id: str, parameters: Mapping[str, str]) -> None:
        """Log parameters, cut to 6,000 characters as MLflow does. Logging the same again changes nothing."""
        from mlflow.entities import Param

        items = [Param(name, value[:VALUE_LIMIT]) for name, value in parameters.items()]
        for start in range(0, len(items), CALL_PARAMETERS):
            self._client.log_batch(run_id, params=items[start : start + CALL_PARAMETERS], synchronous=True)

    def log_dataset(self, run_ids: Sequence[str], dataset: Dataset) -> None:
        """Make a data set an input of runs, in their column *Dataset*. Repeating it changes nothing."""
        log_dataset(self._client, run_ids, dataset)

    def log_file(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Copy a file to the run's artifacts, or a folder of them, replacing an older one of its name.

        Raises StoreError where the store keeps them in a folder of this machine that is not its own.
        """
        self._check_folder(self._client.get_run(run_id).info.artifact_uri)
        self._client.log_artifact(run_id, str(path), folder)

    def log_picture(self, run_id: str, content: bytes, key: str, step: int) -> None:
        """Log a PNG as MLflow's picture ``key`` at ``step``, which its page shows; raises as ``log_file`` does."""
        self._check_folder(self._client.get_run(run_id).info.artifact_uri)
        log_picture(self._client, run_id, content, key, step)

    def pictures(self, run_id: str) -> set[tuple[str, int]]:
        """Key and step of every picture that ``log_picture`` has logged whole."""
        return pictures(self._client, run_id)

    def arrange(self, experiment_id: str, run_ids: Sequence[str], facts: PageFacts) -> None:
        """Write the views of the experiment's page that it lacks, and give the runs the colour of their agent."""
        arrange(self._client, experiment_id, facts)
        color_runs(self._client, experiment_id, run_ids)

    def log_models(
        self, experiment_id: str, run_id: str, metric: str, folders: Sequence[str], tags: Mapping[str, str]
    ) -> None:
        """Make the best and the last checkpoint LoggedModels; a run whose tags name no run of composer has none."""
        log_models(self._client, experiment_id, run_id, metric, folders, tags)

    def why(self, error: Exception) -> str:
        """An error of this store in words, without credentials."""
        return plain_error(error, self._destination)

    def _check_folder(self, uri: str) -> None:
        """A store that a stranger names, or has made, could have files written anywhere."""
        folder = local_path(uri)
        if folder is None or self._destination.source == "environment":
            return
        own = self._destination.artifacts
        if own is None or not folder.resolve().is_relative_to(own.resolve()):
            raise StoreError(f"the store keeps them in {folder}, outside of its own folder")

    def log_points(self, run_id: str, points: Sequence[tuple[Point, int]]) -> None:
        """Log points with their times, in milliseconds since the epoch, at most 1,000 per call."""
        from mlflow.entities import Metric

        metrics = [Metric(point.name, point.value, time, point.step) for point, time in points]
        for start in range(0, len(metrics), CALL_METRICS):
            self._client.log_batch(run_id, metrics=metrics[start : start + CALL_METRICS], synchronous=True)

    def steps(self, run_id: str, name: str) -> set[int]:
        """Steps at which the store already has this metric."""
        return {metric.step for metric in self._client.get_metric_history(run_id, name)}

    def set_tag(self, run_id: str, name: str, text: str) -> None:
        """Set a tag, cut to the length that every store takes."""
        self._client.set_tag(run_id, name, text[:TAG_LIMIT])

    def set_status(self, run_id: str, status: str, end_time: int | None = None) -> None:
        """Set RUNNING, or a final status with its time in milliseconds."""
        if end_time is None:
            self._client.update_run(run_id, status=status)
        else:
            self._client.set_terminated(run_id, status, end_time)
