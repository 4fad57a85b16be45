"""``python -m benchmarks.speed`` as a function. Tests: tests/benchmarks/test_speed.py."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.speed.machine import FOREIGN_LIMIT, describe_machine
from benchmarks.speed.neighbour import share_machine
from benchmarks.speed.plot import plot as draw
from benchmarks.speed.prepare import prepare
from benchmarks.speed.race import Row, race, rows_of
from benchmarks.speed.report import table
from benchmarks.speed.starts import starts
from benchmarks.speed.workloads.base import Workload
from benchmarks.speed.workloads.catalogue import WORKLOADS
from benchmarks.speed.workloads.sharing import Sharing
from benchmarks.speed.workloads.starting import Starting
from composer.spec.wording import spelled, suggestion
from composer.studies import Refused
from composer.studies.plots import check

SEEDS: Final = (1, 2, 4, 8, 16)


def bench(
    seconds: float,
    repeats: int,
    say: Callable[[str], None],
    out: Path | None = None,
    plot: Path | None = None,
    workloads: Sequence[Workload] = WORKLOADS,
    seeds: Sequence[int] = SEEDS,
) -> dict[str, Any]:
    """Measure every workload and return one plain table (``text`` shows it); progress goes to ``say``.

    Compiled code is kept in a folder of this run's own. The table goes to ``out`` as JSON, after each workload, and its
    curves to ``plot``; OSError and Refused, before anything is measured, where those cannot be written.
    """
    if plot is not None:
        check(plot)
        if not any(workload.curves for workload in workloads):
            named = ", ".join(workload.name for workload in WORKLOADS if workload.curves)
            raise Refused(f"nothing that was chosen can be plotted; these can: {named}")
    if out is not None:
        out.touch()
    tables: list[dict[str, Any]] = []
    result = {
        "benchmark": "speed",
        "seconds": seconds,
        "repeats": repeats,
        "foreign_limit": FOREIGN_LIMIT,
        "machine": describe_machine(),
        "workloads": tables,
    }
    with tempfile.TemporaryDirectory(prefix="composer-bench-", ignore_cleanup_errors=True) as cache:
        for made in _measured(workloads, seeds, seconds, repeats, cache, say):
            tables.append(made)
            if out is not None:
                out.write_text(json.dumps(result, indent=1) + "\n")
    if plot is not None:
        draw(result, plot)
    return result


def _measured(
    workloads: Sequence[Workload],
    seeds: Sequence[int],
    seconds: float,
    repeats: int,
    cache: str,
    say: Callable[[str], None],
) -> Iterator[dict[str, Any]]:
    cast = {workload.name: workload.candidates(seeds) for workload in workloads}
    compiling = [
        (workload, candidate)
        for workload in workloads
        if not isinstance(workload, Starting)
        for candidate in cast[workload.name]
        if candidate.compiles and candidate.absent() is None
    ]
    failed = prepare(compiling, cache, say)
    for workload in workloads:
        failures = {candidate: why for (name, candidate), why in failed.items() if name == workload.name}
        rows: dict[Any, Row] = rows_of(cast[workload.name], failures)
        if isinstance(workload, Starting):
            starts(workload, rows, repeats, say)
        elif isinstance(workload, Sharing):
            share_machine(workload, rows, seconds, repeats, cache, say)
        else:
            race(workload, rows, seconds * workload.lap, repeats, cache, say)
        yield table(workload, list(rows.values()))


def chosen(names: Sequence[str]) -> tuple[Workload, ...]:
    """The workloads of these names, or all of them, in the catalogue's order; Refused for unknown names."""
    known = {workload.name: workload for workload in WORKLOADS}
    for name in names:
        if name not in known:
            raise Refused(f"no workload named {spelled(name)}{suggestion(name, known)}; --list names them")
    return tuple(workload for workload in WORKLOADS if not names or workload.name in names)


def listed() -> dict[str, Any]:
    """Names and titles of all workloads."""
    return {"workloads": [{"name": workload.name, "title": workload.title} for workload in WORKLOADS]}
