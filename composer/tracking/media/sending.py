"""Send what is in ``RUN/media/`` to the parent run: every file once per content, as an artifact, PNGs as pictures too.

A picture that is sent twice would show twice. So ``media.json`` records it as begun before it is sent, and as sent
after; one that was begun is looked up in the store before it is sent again. A file that cannot be sent is a note, and
costs no row. Tests: tests/tracking/media/test_sending.py.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from composer.tracking.media.files import FOLDER, MediaFile, media, png_step, read_media
from composer.tracking.records import Record

RETRY_SECONDS: Final = 60.0
NEWEST: Final = 0
"""The step at which MLflow's page opens. It shows the pictures of exactly one step, so that runs that were drawn at
different ones are compared here: every picture is shown at this step too, where the newest one counts."""


class MediaStore(Protocol):
    """The calls that sending needs; any may raise whatever the store and the network raise."""

    def log_file(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Copy a file to the run's artifacts, replacing an older one of its name."""

    def log_picture(self, run_id: str, content: bytes, key: str, step: int) -> None:
        """Show a PNG in the page, under ``key``, at ``step``."""

    def pictures(self, run_id: str) -> set[tuple[str, int]]:
        """Key and step of every picture."""

    def why(self, error: Exception) -> str:
        """The error in words, without credentials."""


@dataclass
class SentMedia(Record):
    """What the run in the store has, as digests by name. ``begun`` may be there or not."""

    file = "media.json"
    run_id: str
    sent: dict[str, str] = field(default_factory=dict)
    begun: dict[str, str] = field(default_factory=dict)


class MediaSender:
    """Sends the files of one run to its parent run. No method raises because of the store or of a file."""

    def __init__(self, run_dir: Path, store: MediaStore, run_id: str, *, compares_all: bool = False) -> None:
        """``compares_all`` sends files again that were sent already, and the pictures that are no longer there."""
        self._run_dir, self._store = run_dir, store
        record = SentMedia.load(run_dir)
        self._record = record if record is not None and record.run_id == run_id else SentMedia(run_id)
        if compares_all:
            self._record.begun |= self._record.sent
            self._record.sent = {}
        self._seen: dict[Path, tuple[int, int]] = {}
        self._failed_at: float | None = None

    def send(self, notes: list[str], *, is_last: bool = False) -> bool:
        """Send what has changed; returns whether ``notes``, a line for each file that could not be sent, changed.

        After a failure of the store it waits for a minute, but not at the last call.
        """
        before = list(notes)
        if is_last or self._failed_at is None or time.monotonic() - self._failed_at >= RETRY_SECONDS:
            self._failed_at = None
            for path, state in media(self._run_dir):
                if self._seen.get(path) != state and self._failed_at is None:
                    self._send(path, state, notes)
        return notes != before

    def _send(self, path: Path, state: tuple[int, int], notes: list[str]) -> None:
        title = f"{FOLDER}/{path.name}"
        notes[:] = [note for note in notes if not note.startswith(f"{title} ")]
        try:
            found = read_media(path)
            step = png_step(found.content) if path.suffix == ".png" else None
        except Exception as error:  # Of the disk, or of a picture that cannot be read: others may be fine.
            self._seen[path] = state
            notes.append(f"{title} cannot be read: {type(error).__name__}: {error}")
            return
        try:
            if self._record.sent.get(path.name) != found.digest:
                self._deliver(found, step)
            self._seen[path] = state
        except Exception as error:  # Of a store or a network.
            self._failed_at = time.monotonic()
            notes.append(f"{title} is not there: {self._store.why(error)}")

    def _deliver(self, found: MediaFile, step: int | None) -> None:
        name, record = found.path.name, self._record
        self._store.log_file(record.run_id, found.path, FOLDER)
        if step is not None:
            may_be_there = record.begun.get(name) == found.digest
            record.begun[name] = found.digest
            record.save(self._run_dir)
            if not (may_be_there and (found.path.stem, step) in self._store.pictures(record.run_id)):
                for shown_at in dict.fromkeys((NEWEST, step)):
                    self._store.log_picture(record.run_id, found.content, found.path.stem, shown_at)
        record.begun.pop(name, None)
        record.sent[name] = found.digest
        record.save(self._run_dir)
