"""Taking turns: every party of a workload in its own process, one lap each, round after round.

Whatever drifts (clock speed, heat, neighbours) hits interleaved parties alike; ratios are taken within rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from composer.study.bench.machine import FOREIGN_LIMIT, ForeignLoad
from composer.study.bench.worker import BenchFailed, Lap, Ready, Worker

if TYPE_CHECKING:
    from composer.study.bench.entries import Entry
    from composer.study.bench.workloads import Workload


@dataclass(frozen=True)
class Repeat:
    """One lap, and who disturbed it."""

    lap: Lap
    foreign_cores: float

    @property
    def rate(self) -> float:
        """Agent updates a second."""
        return self.lap.updates / self.lap.seconds

    @property
    def disturbed(self) -> bool:
        """Whether others used more than a fifth of a core meanwhile."""
        return self.foreign_cores > FOREIGN_LIMIT


@dataclass
class Row:
    """One party's result; ``error`` says why there is none."""

    name: str
    error: str | None = None
    skipped: bool = False
    """Not run because something that is not part of this project is missing."""
    ready: Ready | None = None
    cold_start_seconds: float | None = None
    """As ``ready.start_seconds``, in a first process that found no compiled code."""
    repeats: list[Repeat] = field(default_factory=list)


def race(
    workload: Workload, entries: Sequence[Entry], seconds: float, repeats: int, cache: str, say: Callable[[str], None]
) -> list[Row]:
    """Time every entry ``repeats`` times for ``seconds``, in turns; a party that fails is out and its row says why."""
    rows = {entry: Row(entry.name) for entry in entries}
    with ExitStack() as stack:
        running: dict[Entry, Worker] = {}
        for entry, row in rows.items():
            row.error = entry.absent()
            row.skipped = row.error is not None
            if row.skipped:
                continue
            say(f"{workload.name}: starting {entry.name}{' (twice: it compiles)' if entry.compiles else ''}")
            worker = _start(entry, workload, cache, row)
            if worker is not None:
                stack.callback(worker.close)
                running[entry] = worker
        # The first round warms up and is thrown away.
        for number in range(repeats + 1):
            say(f"{workload.name}: {'warming up' if number == 0 else f'round {number} of {repeats}'}")
            for entry, worker in running.items():
                repeat = _turn(worker, seconds, rows[entry])
                if repeat is not None and number:
                    rows[entry].repeats.append(repeat)
    return list(rows.values())


def _start(entry: Entry, workload: Workload, cache: str, row: Row) -> Worker | None:
    """A party that is ready, after a first process that only compiled where it compiles; None where it failed."""
    for last in (False, True) if entry.compiles else (True,):
        worker = Worker(entry, workload, cache)
        try:
            row.ready = worker.ready()
        except BenchFailed as failure:
            row.error = str(failure)
            worker.close()
            return None
        except BaseException:
            worker.close()
            raise
        if last:
            return worker
        row.cold_start_seconds = row.ready.start_seconds
        worker.close()
    raise AssertionError("the loop returns")


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
