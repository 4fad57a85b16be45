"""Ctrl-C and SIGTERM set a flag: the loop finishes its interaction, saves and stops. A second Ctrl-C stops at once.

Tests: tests/faults/test_kill.py.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

from composer.spec.errors import ComposerError


class Interrupted(ComposerError):
    """A signal asked the run to stop, and it has saved itself. ``exit_code`` is 128 plus the signal's number."""

    def __init__(self, number: int) -> None:
        """``number`` is that of the signal."""
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Interrupts:
    """While entered, SIGINT and SIGTERM are only noted; outside the main thread nothing changes."""

    def __init__(self) -> None:
        """``requested`` is the number of the signal that was noted, if any."""
        self.requested: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        """Install the handlers."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the former handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = number
