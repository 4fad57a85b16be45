"""Signals to the driver of a study: its runs save themselves, and the same command continues them.

Tests: tests/studies/test_sweep_continues.py.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from composer.spec.errors import ComposerError


class StudyStopped(ComposerError):
    """A signal has stopped the study; its runs have saved themselves."""

    def __init__(self, number: int) -> None:
        """``number`` is that of the signal."""
        name = signal.Signals(number).name
        super().__init__(f"stopped ({name}), the runs are saved: the same command again continues them")
        self.exit_code = 128 + number


@contextmanager
def raising_on_signals() -> Iterator[None]:
    """Raise StudyStopped on SIGINT, SIGTERM and SIGHUP, in the main thread; elsewhere nothing changes."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise StudyStopped(number)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[int(number)] = signal.signal(number, stop)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
