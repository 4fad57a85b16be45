"""Compile before anything is timed: one process per candidate that compiles, two at a time.

A process that has just compiled is slower than one that finds compiled code on disk, for as long as it lives.
Tests: tests/benchmarks/test_speed.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from benchmarks.speed.worker import BenchFailed, Worker

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.base import Workload

AT_ONCE: Final = 2


def prepare(
    pairs: Sequence[tuple[Workload, Candidate]], cache: str, say: Callable[[str], None]
) -> dict[tuple[str, Candidate], str]:
    """Fill ``cache``; returns why candidates failed, by name of the workload and candidate."""

    def compile_one(pair: tuple[Workload, Candidate]) -> str | None:
        workload, candidate = pair
        say(f"{workload.name}: compiling {candidate.name}")
        worker = Worker(candidate, workload, cache)
        try:
            worker.ready()
        except BenchFailed as failure:
            return str(failure)
        finally:
            worker.close()
        return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(compile_one, pairs))
    return {(workload.name, candidate): why for (workload, candidate), why in zip(pairs, answers, strict=True) if why}
