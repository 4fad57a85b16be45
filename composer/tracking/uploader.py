"""Start, end and repeat the upload of a run. The trainer imports this file, so it neither loads mlflow nor waits.

A process of its own uploads (``python -m composer.tracking.uploader_process``), at low priority. When the run ends, or
the trainer dies, it sends the rest of the journal, sets the run's status and exits. The trainer only appends to its
journal, so a store that is down, or hangs, costs it nothing.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from composer.spec.package_files import PACKAGE
from composer.spec.run_files import open_to_write, refuse_links
from composer.tracking.base import URI_VARIABLE, Destination, StoreRefused, Tracker, quoted
from composer.tracking.credentials import upload_environment, withheld_note
from composer.tracking.project import admitted
from composer.tracking.records import (
    LOG,
    Ended,
    RecordDamaged,
    RunDescription,
    RunStatus,
    StoredRun,
    Tracking,
    Upload,
    count_rows,
    pending,
)

RESTART_SECONDS: Final = 30.0
PROCESS: Final = "composer.tracking.uploader_process"

# Few threads, short retries: by default MLflow retries for minutes within one call.
ENVIRONMENT: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "WANDB_ERROR_REPORTING": "false",
}


@dataclass(frozen=True)
class UploadReport:
    """State of the upload: MLflow's id of the parent run, the number of rows not yet sent, and a line for the user.

    The id is None in other trackers.
    """

    mlflow_run_id: str | None
    pending: int
    message: str
    is_complete: bool = True
    """Whether the store has all of the run."""
    opening: str | None = None
    """How runs are looked at where ``composer ui`` does not show them."""


class Uploader:
    """The trainer's handle on the process that uploads its run. No method raises because of the store."""

    def __init__(self, run_dir: Path, destination: Destination | None) -> None:
        self._run_dir = run_dir
        self._destination = destination
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self.note = withheld_note(destination) if destination is not None else None
        """Which credentials are not sent to the store, for people."""

    @classmethod
    def start(cls, run_dir: Path, tracker: Tracker, said: RunDescription, runs_dir: Path) -> Uploader:
        """Begin to upload ``run_dir``, new or resumed, which must contain ``run.json``, shown as ``said``.

        Raises:
            StoreRefused: ``MLFLOW_TRACKING_URI`` names a store that is refused; nothing was started.
        """
        destination = admitted(tracker, runs_dir)
        uploader = cls(run_dir, destination)
        if destination is None:
            return uploader
        before, uri = Tracking.load(run_dir), _recorded_uri(destination, run_dir)
        if before is not None:
            # A resumed run stays where it is, and keeps its parameters: MLflow refuses to change the value of one.
            said = replace(said, experiment=before.experiment, parameters=before.parameters)
        Tracking.of(said, tracker, uri, destination.source).save(run_dir)
        (run_dir / Ended.file).unlink(missing_ok=True)
        uploader._spawn()
        return uploader

    @property
    def is_on(self) -> bool:
        """Whether the run has a store, to which rows are sent."""
        return self._process is not None

    def ensure_running(self) -> None:
        """Start the process again if it has died, at most every 30 seconds. Cheap enough for every logging interval."""
        if self._process is None or self._process.poll() is None:
            return
        if time.monotonic() - self._started_at >= RESTART_SECONDS:
            self._spawn()

    def finish(self, status: RunStatus, timeout: float = 30.0) -> UploadReport:
        """Record how the run ended, wait up to ``timeout`` seconds for the last rows to be sent, and report.

        The journal must be flushed. Rows that are not sent by then stay pending; ``sync`` sends them.
        """
        if self._process is None:
            return UploadReport(None, 0, "tracking is off; the journal has everything")
        Ended(status, int(time.time() * 1000)).save(self._run_dir)
        if self._process.poll() is not None:
            self._spawn()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()  # safe at any time: unacknowledged rows are compared before they are sent again
            self._process.wait()
        assert self._destination is not None
        return report(self._run_dir, self._destination)

    def _spawn(self) -> None:
        package = str(PACKAGE.parent)
        path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        assert self._destination is not None
        environment = upload_environment(self._destination) | ENVIRONMENT | {"PYTHONPATH": path}
        if self._destination.source == "blueprint":
            environment[URI_VARIABLE] = self._destination.uri  # It is admitted, and has no credentials.
        with os.fdopen(open_to_write(self._run_dir / LOG, os.O_APPEND), "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", PROCESS, str(self._run_dir.absolute()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the trainer; the uploader still sends the end of the journal
            )
        self._started_at = time.monotonic()


def sync(run_dir: Path, to: str | None = None) -> UploadReport:
    """Send what the store of a run lacks, in this process; the run must have ended.

    ``to`` names a kind of tracker to whose default store the run is sent instead; it keeps its own.

    Every row is compared with the store, so that what was deleted there is sent again. It continues while the store
    accepts rows, and loads mlflow (seconds). If ``MLFLOW_TRACKING_URI`` has changed, the whole run is sent to the new
    store.

    Raises:
        StoreRefused: the run was not tracked, or the URI of its store is unknown or refused.
    """
    refuse_links(run_dir)
    tracking = Tracking.load(run_dir)
    if tracking is None:
        if (run_dir / Tracking.file).exists():
            raise RecordDamaged(f"{run_dir / Tracking.file} is damaged: which store has the run is not known")
        raise StoreRefused(f'{run_dir}: not tracked: its blueprint has tracking.kind = "none"')
    if to is not None:
        tracking = replace(tracking, kind=to, uri=None, source="embedded")
    destination = tracking.destination(run_dir)
    withheld = withheld_note(destination)
    with store_variables(destination):
        from composer.tracking.uploader_process import SYNC_PATIENCE, Busy, Watch, upload

        try:
            found = upload(run_dir, tracking, destination, Watch(run_dir, None), SYNC_PATIENCE, compares_all=True)
        except Busy as busy:
            return replace(report(run_dir, destination, tracking), message=str(busy), is_complete=False)
    answer = report(run_dir, destination, tracking, is_sent=found)
    return replace(answer, message=f"{answer.message}; {withheld}") if withheld else answer


@contextmanager
def store_variables(destination: Destination) -> Iterator[None]:
    """Have the environment variables of an uploader to this store in the block; MLflow reads them when imported."""
    variables = upload_environment(destination) | ENVIRONMENT
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _recorded_uri(destination: Destination, run_dir: Path) -> str | None:
    """The URI for ``tracking.json``: None for the embedded store and for one with credentials."""
    if destination.source == "embedded" or destination.shown != destination.uri:
        return None
    place, project = destination.database or destination.folder, run_dir.resolve().parents[1]
    if place is None or not place.resolve().is_relative_to(project):
        return destination.uri
    within = Path(os.path.relpath(place.resolve(), run_dir.resolve()))  # It moves with the project.
    if destination.folder is not None:
        return f"{destination.uri.removesuffix(str(place))}{within}"
    return destination.uri.replace(quoted(place), quoted(within), 1)


def report(
    run_dir: Path, destination: Destination, tracking: Tracking | None = None, is_sent: bool = True
) -> UploadReport:
    """State of the upload, from the run directory's files; ``is_sent`` is False where the last attempt failed."""
    upload, waiting, stored = Upload.load(run_dir), pending(run_dir), StoredRun.load(run_dir)
    tracking, store = tracking or Tracking.load(run_dir), destination.shown
    opening = tracking.tracker().opening(destination) if tracking else None
    found = stored.run_id if stored and opening is None and stored.tracking_uri == store else None
    reason = f"; {upload.error}" if upload is not None and upload.error else ""
    if is_sent and waiting == 0 and upload is not None and upload.status != "RUNNING":
        notes = "".join(f"; {note}" for note in upload.notes)
        product = tracking.tracker().product if tracking else "the store"
        return UploadReport(found, 0, f"{count_rows(run_dir)} rows in {product} ({store}){notes}", opening=opening)
    what = f"{waiting} rows" if waiting else "the final status is"
    state = f"{what} pending for {store}" if waiting or is_sent else f"{store} could not be compared with the journal"
    command = f"composer sync {shlex.quote(str(run_dir))}"
    return UploadReport(found, waiting, f"{state}{reason}: {command}", is_complete=False)
