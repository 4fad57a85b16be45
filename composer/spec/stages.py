"""The stages of a start, such as importing torch, told on standard error as they begin.

Code that takes long calls ``stage``; nothing is shown unless a command has called ``telling``. On a terminal the
present stage is one line that the next one overwrites; in a pipe or a file each has its line. ``finished`` ends the
last one and returns what took long. Tests: tests/spec/test_stages.py.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TextIO

LONG_SECONDS: Final = 1.0
_OVERWRITE: Final = "\r\x1b[2K"
_active: Stages | None = None


def is_live(stream: TextIO) -> bool:
    """Whether lines can be overwritten there: it is a terminal that moves its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


class Stages:
    """Stages that follow each other, each with its seconds."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing has begun."""
        self._stream, self._clock, self._is_live = stream, clock, is_live(stream)
        self._began, self._first, self._name = 0.0, clock(), ""
        self._took: dict[str, float] = {}

    def begin(self, name: str) -> None:
        """End the stage before and say that this one begins; nothing where it has begun."""
        if name == self._name:
            return
        self._end()
        self._name, self._began = name, self._clock()
        self._write(f"{name} ..." if self._is_live else f"{name}\n")

    def line(self, text: str) -> None:
        """A line that stays."""
        self.erase()
        self._write(f"{text}\n")

    def finish(self) -> str:
        """End the last stage; returns ``ready after 5.1 s (importing torch 2.3 s)``, empty where nothing took long."""
        self._end()
        long = [f"{name} {seconds:.1f} s" for name, seconds in self._took.items() if seconds >= LONG_SECONDS]
        return f"ready after {self._clock() - self._first:.1f} s ({', '.join(long)})" if long else ""

    def erase(self) -> None:
        """Free the present line of a terminal, where something else is to be printed."""
        if self._is_live and self._name:
            self._write(_OVERWRITE)

    def _end(self) -> None:
        if self._name:
            self._took[self._name] = self._took.get(self._name, 0.0) + self._clock() - self._began
            self.erase()
            self._name = ""

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # Standard error is gone.
            self._stream.write(text)
            self._stream.flush()


@contextmanager
def telling() -> Iterator[Stages]:
    """Show the stages inside on standard error."""
    global _active
    before, stages = _active, Stages(sys.stderr)
    _active = stages
    try:
        yield stages
    finally:
        stages.finish()  # An error follows on a line of its own.
        _active = before


def stage(name: str) -> None:
    """Say that a stage begins, where stages are told."""
    if _active is not None:
        _active.begin(name)


def make_room() -> None:
    """Free the present line of a terminal, where something else is to be printed."""
    if _active is not None:
        _active.erase()


def finished() -> str:
    """End the last stage, and tell no more; returns what took long, in words."""
    global _active
    stages, _active = _active, None
    return stages.finish() if stages is not None else ""
