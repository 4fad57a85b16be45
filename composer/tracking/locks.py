"""File locks with a deadline. The kernel frees them when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

LOOK_SECONDS: Final = 0.1


def open_lock(path: Path) -> int:
    """A file to lock; closing it unlocks it."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def lock_alone(file: int, seconds: float) -> bool:
    """Lock ``file`` for this process alone; False where others have held it for ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_SECONDS)


def lock_together(file: int) -> None:
    """Lock ``file`` in common with others that do the same; waits for one that has it alone."""
    fcntl.flock(file, fcntl.LOCK_SH)


def unlock(file: int) -> None:
    """Give up the lock, and keep the file open."""
    fcntl.flock(file, fcntl.LOCK_UN)
