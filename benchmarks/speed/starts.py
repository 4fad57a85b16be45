"""Time starts: every candidate's process is started and ended repeatedly, in turns, with nothing else running.

Tests: tests/benchmarks/test_speed.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.speed.race import Row, started

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.base import Workload


def starts(workload: Workload, rows: Mapping[Candidate, Row], repeats: int, say: Callable[[str], None]) -> None:
    """A cold start of every candidate, in an empty cache of compiled code, then ``repeats`` warm ones."""
    with tempfile.TemporaryDirectory(prefix="composer-bench-", ignore_cleanup_errors=True) as cache:
        for number in range(repeats + 1):
            say(f"{workload.name}: {'cold starts' if number == 0 else f'round {number} of {repeats}'}")
            for candidate, row in rows.items():
                if row.error is not None:
                    continue
                with ExitStack() as stack:
                    started(candidate, workload, cache, row, stack)
                if row.error is not None or row.ready is None:
                    continue
                if number == 0:
                    row.cold_start_seconds = row.ready.start_seconds
                else:
                    row.starts.append(row.ready.start_seconds)
