"""What ``composer bench`` does."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from composer.study.bench.entries import FLOOR, OURS, PEERS, Entry
from composer.study.bench.machine import FOREIGN_LIMIT, describe_machine
from composer.study.bench.race import race
from composer.study.bench.report import table
from composer.study.bench.workloads import WORKLOADS, Workload


def bench(
    seconds: float,
    repeats: int,
    say: Callable[[str], None],
    out: Path | None = None,
    workloads: Sequence[Workload] = WORKLOADS,
    ours: Sequence[Entry] = OURS,
) -> dict[str, Any]:
    """Measure every workload and return one plain table (``report.text`` shows it); progress goes to ``say``.

    Compiled code is kept in a folder of this run's own: a cold start is cold, whatever was compiled before. The table
    goes to ``out`` as JSON; OSError, at once, where that cannot be written.
    """
    if out is not None:
        out.touch()
    entries = (FLOOR, *ours, *PEERS)
    tables = []
    with tempfile.TemporaryDirectory(prefix="composer-bench-", ignore_cleanup_errors=True) as cache:
        for workload in workloads:
            rows = race(workload, entries, seconds, repeats, cache, say)
            tables.append(
                {"name": workload.name, **table(workload.title, rows, FLOOR.name, [peer.name for peer in PEERS])}
            )
    result = {
        "benchmark": "learner",
        "seconds": seconds,
        "repeats": repeats,
        "foreign_limit": FOREIGN_LIMIT,
        "machine": describe_machine(),
        "workloads": tables,
    }
    if out is not None:
        out.write_text(json.dumps(result, indent=1) + "\n")
    return result
