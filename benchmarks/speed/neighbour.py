"""Training on a machine that is not one's own: alone, beside one busy process, and two trainings at once.

Every candidate has two processes that train the same. The busy process has a session of its own, as another user's
would: Linux shares processors among sessions (``kernel.sched_autogroup_enabled``), not among threads.
Tests: tests/benchmarks/test_speed_neighbour.py.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks.speed.machine import ForeignLoad
from benchmarks.speed.race import Repeat, Row, Shared, started
from benchmarks.speed.worker import BenchFailed
from composer.training.timing import in_turns

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.worker import Lap, Worker
    from benchmarks.speed.workloads.base import Workload

SETTLING: Final = 0.5
"""Length of the lap before every timed one, as a share of it: how threads wait follows the load."""
RESTING: Final = 3.0
"""Rest at the start of every round, in timed laps."""
BUSY: Final = (sys.executable, "-c", "while True: pass")


def share_machine(
    workload: Workload,
    rows: Mapping[Candidate, Row],
    seconds: float,
    repeats: int,
    cache: str,
    say: Callable[[str], None],
) -> None:
    """Time every candidate ``repeats`` times in each situation. One that fails is dropped with its error."""
    with ExitStack() as stack:
        pairs = {}
        for candidate, row in rows.items():
            if row.error is None:
                say(f"{workload.name}: starting {candidate.name} twice")
                pairs[candidate] = [started(candidate, workload, cache, row, stack) for _ in range(2)]
        turns = {
            (candidate, name): partial(_turn, rows[candidate], situation, [each for each in pair if each], seconds)
            for name, situation in (("alone", alone), ("beside", beside), ("together", together))
            for candidate, pair in pairs.items()
        }

        def rest(number: int) -> None:
            say(f"{workload.name}: {f'round {number} of {repeats}' if number else 'warming up'}")
            time.sleep(RESTING * seconds)

        found = in_turns(turns, repeats, rest)
    for candidate in pairs:
        row = rows[candidate]
        if row.error is None:
            row.repeats = [each[0] for each in found[candidate, "alone"] if each]
            others = zip(found[candidate, "beside"], found[candidate, "together"], strict=True)
            row.shared = [Shared(one[0].rate, sum(each.rate for each in both)) for one, both in others if one and both]


def alone(pair: Sequence[Worker], seconds: float) -> list[Repeat]:
    """One training; nothing else works."""
    return [_timed(pair[0], seconds)]


def beside(pair: Sequence[Worker], seconds: float) -> list[Repeat]:
    """One training beside a busy process."""
    with busy_process():
        return [_timed(pair[0], seconds)]


def together(pair: Sequence[Worker], seconds: float) -> list[Repeat]:
    """Two trainings at once, each with all the threads that it has alone."""
    with ThreadPoolExecutor(len(pair)) as pool:
        return list(pool.map(lambda worker: _timed(worker, seconds), pair))


@contextmanager
def busy_process() -> Iterator[None]:
    """Another process that computes without pause on one processor, at normal priority."""
    process = subprocess.Popen(BUSY, start_new_session=True)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _timed(worker: Worker, seconds: float) -> Repeat:
    worker.lap(SETTLING * seconds)
    load = ForeignLoad(worker.pid)
    lap: Lap = worker.lap(seconds)
    return Repeat(lap, load.cores())


def _turn(
    row: Row, situation: Callable[[Sequence[Worker], float], list[Repeat]], pair: Sequence[Worker], seconds: float
) -> list[Repeat]:
    if row.error is not None:
        return []
    try:
        return situation(pair, seconds)
    except BenchFailed as failure:
        row.error = str(failure)
        return []
