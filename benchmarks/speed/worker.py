"""A candidate in a process of its own: built there, then timed at each of its turns.

The process speaks over a pipe: ``Ready`` or ``Failed`` once, then a ``Lap`` for every number of seconds it is sent.
Tests: tests/benchmarks/test_speed.py.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Final

import psutil

from benchmarks.speed.machine import held_memory, peak_memory
from composer.training.timing import lap

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate, Subject
    from benchmarks.speed.workloads.base import Workload

START_SECONDS: Final = 900.0
"""Time limit for building and compiling a candidate."""
LAP_SECONDS: Final = 300.0
"""Time limit of a lap beyond its length, as its last call always finishes."""


class BenchFailed(RuntimeError):
    """A candidate could not be built, died or hung; the message is its error."""


@dataclass(frozen=True)
class Ready:
    """A candidate is built and has made its first call."""

    start_seconds: float
    """From the start of the process to the end of the first call: imports, building, compiling."""
    parameters: Mapping[str, int]
    flops: int
    """Operations of one unit of work; 0 where they are not counted."""


@dataclass(frozen=True)
class Failed:
    """A candidate raised."""

    reason: str


@dataclass(frozen=True)
class Lap:
    """One timed stretch."""

    units: int
    """Units of work done."""
    seconds: float
    held: int
    """Bytes of memory at its end."""
    peak: int
    """Most bytes of memory until then."""


class Worker:
    """The parent's end of a candidate's process."""

    def __init__(self, candidate: Candidate, workload: Workload, cache: str) -> None:
        """Start the process; ``cache`` is where compiled code is kept."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, candidate, workload, cache))
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process.pid is not None
        return self._process.pid

    def ready(self) -> Ready:
        """Wait until the first call is done; raises BenchFailed."""
        answer = self._receive(START_SECONDS)
        assert isinstance(answer, Ready)
        return answer

    def lap(self, seconds: float) -> Lap:
        """Time a lap of ``seconds``; raises BenchFailed."""
        self._pipe.send(seconds)
        answer = self._receive(seconds + LAP_SECONDS)
        assert isinstance(answer, Lap)
        return answer

    def close(self) -> None:
        """Let the process end, or end it."""
        with suppress(OSError):
            self._pipe.send(None)
        self._pipe.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def _receive(self, seconds: float) -> object:
        try:
            if not self._pipe.poll(seconds):
                raise BenchFailed(f"no answer within {seconds:.0f} s")
            answer: object = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(10)
            raise BenchFailed(f"its process died with exit code {self._process.exitcode}") from None
        if isinstance(answer, Failed):
            raise BenchFailed(answer.reason)
        return answer


def serve(pipe: Connection, candidate: Candidate, workload: Workload, cache: str) -> None:
    """The process: build, call once, then time laps until the pipe says stop or closes."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
    os.dup2(2, 1)  # What libraries print must not mix with the command's answer.
    with suppress(EOFError, OSError, KeyboardInterrupt):
        try:
            subject = workload.build(candidate)
            subject.call()
            subject.settle()
            start = time.time() - psutil.Process().create_time()
            pipe.send(Ready(start, subject.parameters(), subject.flops()))
            while (seconds := pipe.recv()) is not None:
                pipe.send(measure(subject, seconds))
        except Exception as error:  # Whatever a library raises becomes a row of the table that says so.
            pipe.send(Failed(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"))


def measure(subject: Subject, seconds: float, clock: Callable[[], float] = time.perf_counter) -> Lap:
    """Work until ``seconds`` have passed, at least one call; waiting for its results is part of the time."""
    timed = lap(subject.call, seconds, subject.settle, clock)
    return Lap(timed.calls * subject.units, timed.seconds, held_memory(), peak_memory())
