"""File locks with a deadline. The kernel releases them when their holder dies, even by kill -9."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import Final

from composer.spec.run_files import open_to_write

RETRY_SECONDS: Final = 0.1


def open_lock(path: Path) -> int:
    """Open a file for locking; closing it releases the lock. Raises LinkRefused and OSError."""
    return open_to_write(path)


def lock_exclusive(file: int, seconds: float) -> bool:
    """Lock ``file`` exclusively; False where others have held it for ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(RETRY_SECONDS)


def lock_shared(file: int) -> None:
    """Lock ``file`` together with other sharers; waits for an exclusive lock to end."""
    fcntl.flock(file, fcntl.LOCK_SH)


def unlock(file: int) -> None:
    """Release the lock, and keep the file open."""
    fcntl.flock(file, fcntl.LOCK_UN)
