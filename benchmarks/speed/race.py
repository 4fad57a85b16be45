"""Take turns: every candidate of a workload in its own process, one lap each, round after round.

Drift (clock speed, heat, other processes) then affects all candidates alike; ratios are taken within rounds.
Tests: tests/benchmarks/test_speed.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.speed.machine import FOREIGN_LIMIT, ForeignLoad
from benchmarks.speed.prepare import AT_ONCE
from benchmarks.speed.worker import BenchFailed, Lap, Ready, Worker
from composer.training.timing import in_turns

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.base import Workload


@dataclass(frozen=True)
class Repeat:
    """One lap, and the load of other processes meanwhile."""

    lap: Lap
    foreign_cores: float

    @property
    def rate(self) -> float:
        """Units of work per second."""
        return self.lap.units / self.lap.seconds

    @property
    def disturbed(self) -> bool:
        """Whether other processes used more than a fifth of a core."""
        return self.foreign_cores > FOREIGN_LIMIT


@dataclass(frozen=True)
class Shared:
    """Units of work per second while others work too."""

    beside: float
    """Of one training beside a busy process."""
    together: float
    """Of two trainings at once, both counted."""


@dataclass
class Row:
    """The result of one candidate; ``error`` says why there is none."""

    candidate: Candidate
    error: str | None = None
    skipped: bool = False
    """Not run, as a package outside this project is missing."""
    ready: Ready | None = None
    cold_start_seconds: float | None = None
    """Where starts are measured: ``ready.start_seconds`` of a process without compiled code."""
    starts: list[float] = field(default_factory=list)
    """The same of processes with compiled code on disk."""
    repeats: list[Repeat] = field(default_factory=list)
    shared: list[Shared] = field(default_factory=list)
    """Where a shared machine is measured: the other situations of each round; ``repeats`` are those alone."""

    @property
    def name(self) -> str:
        """The candidate's name."""
        return self.candidate.name


def rows_of(candidates: Sequence[Candidate], failures: Mapping[Candidate, str]) -> dict[Candidate, Row]:
    """An empty row per candidate, with an error for absent candidates and for those that failed already."""
    rows = {}
    for candidate in candidates:
        absent = candidate.absent()
        rows[candidate] = Row(candidate, absent or failures.get(candidate), skipped=absent is not None)
    return rows


def race(
    workload: Workload,
    rows: Mapping[Candidate, Row],
    seconds: float,
    repeats: int,
    cache: str,
    say: Callable[[str], None],
) -> None:
    """Time every candidate ``repeats`` times for ``seconds``, in turns. One that fails is dropped with its error.

    They are started two at a time; only ``starts`` measures how long that takes.
    """
    with ExitStack() as stack:

        def start(candidate: Candidate) -> Worker | None:
            if rows[candidate].error is not None:
                return None
            say(f"{workload.name}: starting {candidate.name}")
            return started(candidate, workload, cache, rows[candidate], stack)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            workers = dict(zip(rows, pool.map(start, rows), strict=True))
        laps = {
            candidate: partial(_turn, worker, seconds, rows[candidate])
            for candidate, worker in workers.items()
            if worker
        }

        def announce(number: int) -> None:
            say(f"{workload.name}: {f'round {number} of {repeats}' if number else 'warming up'}")

        for candidate, found in in_turns(laps, repeats, announce).items():
            rows[candidate].repeats = [repeat for repeat in found if repeat is not None]


def started(candidate: Candidate, workload: Workload, cache: str, row: Row, stack: ExitStack) -> Worker | None:
    """A candidate that is ready, closed with ``stack``; None where it failed, with the error in its row."""
    worker = Worker(candidate, workload, cache)
    stack.callback(worker.close)
    try:
        row.ready = worker.ready()
    except BenchFailed as failure:
        row.error = str(failure)
        return None
    return worker


def _turn(worker: Worker, seconds: float, row: Row) -> Repeat | None:
    if row.error is not None:
        return None
    load = ForeignLoad(worker.pid)
    try:
        lap = worker.lap(seconds)
    except BenchFailed as failure:
        row.error = str(failure)
        return None
    return Repeat(lap, load.cores())
