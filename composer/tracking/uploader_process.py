"""The process that uploads one run: it follows the trainer, retries while the trainer runs, and ends with it.

``composer.tracking.uploader`` starts it; its output goes to ``uploader.log`` in the run directory.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from composer.tracking.base import Destination, StoreRefused
from composer.tracking.credentials import plain_error
from composer.tracking.delivery import Delivery
from composer.tracking.locks import RETRY_SECONDS, lock_exclusive, open_lock
from composer.tracking.media.drawing import Drawing
from composer.tracking.records import EVERYTHING, JOURNAL, LOCK, TIMING, Ended, Tracking, Upload, pending
from composer.tracking.store import Store
from composer.tracking.system import SystemMetrics

POLL_SECONDS: Final = 3.0
PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
FAILURES_AFTER_END: Final = 2
SYNC_PATIENCE: Final = 10.0
NICENESS: Final = 15

log = logging.getLogger("composer.uploader")
log.addHandler(logging.NullHandler())  # `sync` reports what the log of the process would say.


class Busy(Exception):
    """Another process is uploading this run."""


class Watch:
    """Whether the run is over: the trainer has recorded its end, or is gone."""

    def __init__(self, run_dir: Path, trainer: int | None) -> None:
        self.trainer = trainer
        self._run_dir = run_dir

    def over(self) -> bool:
        """Whether no more rows can come. Call it before reading the journal: the last rows are then not missed."""
        # When the parent dies the child's parent id changes; a reused process id cannot deceive it.
        return self.trainer is None or os.getppid() != self.trainer or (self._run_dir / Ended.file).exists()

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than until the run is over."""
        was_over, deadline = self.over(), time.monotonic() + seconds
        while time.monotonic() < deadline and (was_over or not self.over()):
            time.sleep(RETRY_SECONDS)


def upload(
    run_dir: Path,
    tracking: Tracking,
    destination: Destination,
    watch: Watch,
    patience: float = math.inf,
    *,
    compares_all: bool = False,
) -> bool:
    """Upload until the run is over and all rows are sent, or the store fails after its end; returns whether all are.

    ``compares_all`` compares every row with the store, also those that it has acknowledged.

    Raises:
        Busy: another process has been uploading this run for ``patience`` seconds.
    """
    with _locked(run_dir, patience):
        failures, mark = 0, _acknowledged(run_dir)
        while True:
            try:
                with tracking.tracker().opened(destination) as store:
                    _deliver(run_dir, tracking, destination, store, watch, compares_all)
                return True
            except Exception as error:  # of a store, a network or a full disk: the journal keeps the rows
                _note(run_dir, tracking, destination, error)
                mark, before = _acknowledged(run_dir), mark
                failures = failures + 1 if mark == before else 1
            if watch.over() and failures >= FAILURES_AFTER_END:
                return False
            watch.pause(PAUSES[min(failures, len(PAUSES)) - 1])


def _deliver(
    run_dir: Path, tracking: Tracking, destination: Destination, store: Store, watch: Watch, compares_all: bool
) -> None:
    """Deliver to the open store until the run is over."""
    drawing = Drawing(run_dir, is_on=tracking.pictures and watch.trainer is not None)
    drawing.poll()
    delivery = Delivery(run_dir, tracking, destination, store, compares_all=compares_all)
    system = None
    if tracking.system_metrics and watch.trainer is not None and not watch.over():
        system = SystemMetrics(watch.trainer, delivery.started_at)
    while True:
        over = watch.over()
        drawing.poll(is_last=over)
        while delivery.step():
            pass
        if over:
            ended = Ended.load(run_dir)
            delivery.end(ended.status if ended else "KILLED", ended.time if ended else None)
            drawing.finish()
            delivery.send_media(is_last=True, problem=drawing.note)
            return
        delivery.send_media()
        if system is not None:
            delivery.send_system(system.sample())
        watch.pause(POLL_SECONDS)


def _note(run_dir: Path, tracking: Tracking, destination: Destination, error: Exception) -> None:
    """Record a failed attempt; the log names each new reason once."""
    message = plain_error(error, destination, tracking.experiment)
    state = Upload.load(run_dir)
    if state is None or state.tracking_uri != destination.shown:
        state = Upload(destination.shown, sent={JOURNAL: EVERYTHING, TIMING: EVERYTHING})
    if state.error != message:
        log.warning("%d rows wait: %s", pending(run_dir), message)
    state.error = message
    state.save(run_dir)


def _acknowledged(run_dir: Path) -> int:
    state = Upload.load(run_dir)
    return sum(state.acknowledged.values()) if state else 0


@contextmanager
def _locked(run_dir: Path, patience: float) -> Iterator[None]:
    """Be the only uploader of this run. The uploader of a dead trainer may still be sending the last rows: wait."""
    lock = open_lock(run_dir / LOCK)
    try:
        if not lock_exclusive(lock, patience):
            raise Busy(f"{run_dir}: another process is uploading this run")
        yield
    finally:
        os.close(lock)


def main(arguments: list[str]) -> int:
    """Upload the run directory named first for the trainer whose process id comes second; 0 if all was sent."""
    os.nice(NICENESS)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.ERROR)
    log.setLevel(logging.INFO)
    run_dir, trainer = Path(arguments[0]), int(arguments[1])
    tracking = Tracking.load(run_dir)
    if tracking is None:
        log.error("%s: no readable %s", run_dir, Tracking.file)
        return 1
    try:
        destination = tracking.destination(run_dir)
    except StoreRefused as error:
        log.error("%s", error)
        return 1
    done = upload(run_dir, tracking, destination, Watch(run_dir, trainer))
    log.info("%s; %d rows pending", "all sent" if done else "ended before all was sent", pending(run_dir))
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
