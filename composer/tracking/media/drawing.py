"""Have the pictures of a run drawn while it trains, by a process beside the uploader, at the same low priority.

Drawing needs the blueprint and the figures of studies, which nothing here may import. The process is therefore started
by its name. Tests: tests/tracking/media/test_drawing.py.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from composer.tracking.records import JOURNAL

PROCESS: Final = "composer.studies.pictures.process"
EVERY_SECONDS: Final = 180.0
"""Pictures are drawn at the start of a run, at its end, and at most so often meanwhile."""
SHARE: Final = 0.02
"""Drawing takes at most this share of the time: the next one waits longer after a long one."""
LAST_SECONDS: Final = 20.0
"""How long the end of a run waits for them."""
NOTE: Final = "its pictures are not drawn: see uploader.log"


class Drawing:
    """Starts the process that draws, and never waits for it but in ``finish``; nothing is raised."""

    def __init__(self, run_dir: Path, *, is_on: bool = True) -> None:
        """Without ``is_on`` nothing is drawn."""
        self._run_dir, self._is_on = run_dir, is_on
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at, self._due = 0.0, 0.0
        self._drawn_size = -1
        self._is_first = True
        self.note: str | None = None
        """That the last drawing failed, in words."""

    def poll(self, *, is_last: bool = False) -> None:
        """Begin to draw where it is time, or the last time, and the journal has grown; not while one is under way."""
        if self._is_on and not self._is_running() and (is_last or time.monotonic() >= self._due):
            self._start()

    def finish(self) -> None:
        """Draw what the journal has in the end, and wait for it, at most ``LAST_SECONDS`` in all."""
        deadline = time.monotonic() + LAST_SECONDS
        self._wait(deadline)
        self.poll(is_last=True)
        self._wait(deadline)

    def _is_running(self) -> bool:
        if self._process is None:
            return False
        code = self._process.poll()
        if code is None:
            return True
        self.note = NOTE if code else None
        took = time.monotonic() - self._started_at
        self._due = self._started_at + max(EVERY_SECONDS, took / SHARE)
        self._process = None
        return False

    def _wait(self, deadline: float) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._is_running()

    def _start(self) -> None:
        size = _size(self._run_dir / JOURNAL)
        if size == self._drawn_size:
            return
        options = ["--first"] if self._is_first else []
        command = [sys.executable, "-P", "-m", PROCESS, str(self._run_dir), *options]
        self._started_at = time.monotonic()
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        except OSError:  # No memory, or too many processes: the next time.
            self._due, self.note = self._started_at + EVERY_SECONDS, NOTE
            return
        self._drawn_size, self._is_first = size, False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
