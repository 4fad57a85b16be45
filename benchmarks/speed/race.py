"""Taking turns: every party of a workload in its own process, one lap each, round after round.

Whatever drifts (clock speed, heat, neighbours) hits interleaved parties alike; ratios are taken within rounds.
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
    from benchmarks.speed.party import Party
    from benchmarks.speed.workloads.base import Workload


@dataclass(frozen=True)
class Repeat:
    """One lap, and who disturbed it."""

    lap: Lap
    foreign_cores: float

    @property
    def rate(self) -> float:
        """Units of work a second."""
        return self.lap.units / self.lap.seconds

    @property
    def disturbed(self) -> bool:
        """Whether others used more than a fifth of a core meanwhile."""
        return self.foreign_cores > FOREIGN_LIMIT


@dataclass
class Row:
    """One party's result; ``error`` says why there is none."""

    party: Party
    error: str | None = None
    skipped: bool = False
    """Not run because something that is not part of this project is missing."""
    ready: Ready | None = None
    cold_start_seconds: float | None = None
    """Where starts are what is measured: ``ready.start_seconds`` of a process that found no compiled code."""
    starts: list[float] = field(default_factory=list)
    """The same of processes that found their own."""
    repeats: list[Repeat] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The party's."""
        return self.party.name


def rows_of(parties: Sequence[Party], failures: Mapping[Party, str]) -> dict[Party, Row]:
    """An empty row for every party; absent ones say so, and so do those that have failed already."""
    rows = {}
    for party in parties:
        absent = party.absent()
        rows[party] = Row(party, absent or failures.get(party), skipped=absent is not None)
    return rows


def race(
    workload: Workload,
    rows: Mapping[Party, Row],
    seconds: float,
    repeats: int,
    cache: str,
    say: Callable[[str], None],
) -> None:
    """Time every party ``repeats`` times for ``seconds``, in turns; a party that fails is out and its row says why.

    They are started two at a time: how long that takes is measured by ``starts`` alone.
    """
    with ExitStack() as stack:

        def start(party: Party) -> Worker | None:
            if rows[party].error is not None:
                return None
            say(f"{workload.name}: starting {party.name}")
            return started(party, workload, cache, rows[party], stack)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            workers = dict(zip(rows, pool.map(start, rows), strict=True))
        laps = {party: partial(_turn, worker, seconds, rows[party]) for party, worker in workers.items() if worker}

        def announce(number: int) -> None:
            say(f"{workload.name}: {f'round {number} of {repeats}' if number else 'warming up'}")

        for party, found in in_turns(laps, repeats, announce).items():
            rows[party].repeats = [repeat for repeat in found if repeat is not None]


def started(party: Party, workload: Workload, cache: str, row: Row, stack: ExitStack) -> Worker | None:
    """A party that is ready, closed with ``stack``; None where it failed, and its row then says why."""
    worker = Worker(party, workload, cache)
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
