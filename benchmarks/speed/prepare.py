"""Compiling beforehand: a process a party that compiles, two at a time, before anything is timed.

A process that has just compiled is slower than one that finds compiled code on disk, for as long as it lives.
Tests: tests/benchmarks/test_speed.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from benchmarks.speed.worker import BenchFailed, Worker

if TYPE_CHECKING:
    from benchmarks.speed.party import Party
    from benchmarks.speed.workloads.base import Workload

AT_ONCE: Final = 2


def prepare(
    pairs: Sequence[tuple[Workload, Party]], cache: str, say: Callable[[str], None]
) -> dict[tuple[str, Party], str]:
    """Fill ``cache``; returns why parties failed, by name of the workload and party."""

    def compile_one(pair: tuple[Workload, Party]) -> str | None:
        workload, party = pair
        say(f"{workload.name}: compiling {party.name}")
        worker = Worker(party, workload, cache)
        try:
            worker.ready()
        except BenchFailed as failure:
            return str(failure)
        finally:
            worker.close()
        return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(compile_one, pairs))
    return {(workload.name, party): why for (workload, party), why in zip(pairs, answers, strict=True) if why}
