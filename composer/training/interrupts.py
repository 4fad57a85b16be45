"""Signals and the end of the process, while a run trains: it saves itself first.

Ctrl-C, SIGTERM and SIGHUP set a flag: the loop finishes its interaction, saves and stops. A second Ctrl-C stops at
once. Environments run in this process and may take signal handlers or end it: both are noticed.
Tests: tests/faults/test_kill.py, tests/faults/test_signals.py.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import NoReturn, Self

from composer.spec.calls import CtrlC
from composer.spec.errors import ComposerError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
REINSTALL_SECONDS = 1.0
"""How often handlers are installed anew: a C library that took one is not seen from Python."""


class Interrupted(ComposerError):
    """A signal asked the run to stop, and it has saved itself. ``exit_code`` is 128 plus the signal's number."""

    def __init__(self, number: int) -> None:
        """``number`` is that of the signal."""
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class ProcessEnded(ComposerError, RuntimeError):
    """The environment, or a library, called ``os._exit``, which ends a process without a word."""

    exit_code = 6


class Interrupts:
    """While entered, signals are only noted, and ``os._exit`` raises; outside the main thread nothing changes."""

    def __init__(self) -> None:
        """``requested`` is the number of the signal that was noted, if any."""
        self.requested: int | None = None
        self._before: dict[int, object] = {}
        self._handler = self._note
        self._exit, self._process, self._installed = os._exit, os.getpid(), 0.0

    def __enter__(self) -> Self:
        """Install the handlers."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                # What nohup ignores stays ignored.
                if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handler)
            os._exit = self._refuse
        return self

    def keep(self) -> list[str]:
        """Install the handlers again where others took them; the names of signals whose handlers were taken."""
        taken = [number for number in self._before if signal.getsignal(number) is not self._handler]
        now = time.monotonic()
        if taken or now > self._installed + REINSTALL_SECONDS:
            self._installed = now
            for number in self._before:
                signal.signal(number, self._handler)
        return [signal.Signals(number).name for number in taken]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the former handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if self._before:
            os._exit = self._exit
        self._before.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested is not None and number == signal.SIGINT:
            raise CtrlC
        self.requested = number

    def _refuse(self, status: int) -> NoReturn:
        if os.getpid() != self._process:  # A forked child ends itself in this way.
            self._exit(status)
        raise ProcessEnded(f"the environment, or a library, ended the process: os._exit({status})")
