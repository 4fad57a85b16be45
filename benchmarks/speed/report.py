"""A benchmark's results as plain tables for JSON. Tests: tests/benchmarks/test_speed.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from benchmarks.speed.race import Row
    from benchmarks.speed.workloads.base import Workload

MIB = 2**20


class Summary(NamedTuple):
    """Median and range of some repeats."""

    median: float
    low: float
    high: float


class NotTheSameNetwork(RuntimeError):
    """Two candidates have different numbers of parameters: they cannot be compared."""


def summarise(values: Sequence[float]) -> Summary:
    """Median, smallest and largest of at least one value."""
    return Summary(median(values), min(values), max(values))


def ratio(ours: Row, theirs: Row) -> Summary | None:
    """Relative speed, round by round; None where they have no round in common."""
    if ours.starts or theirs.starts:
        pairs = [theirs_ / ours_ for ours_, theirs_ in zip(ours.starts, theirs.starts, strict=False)]
    else:
        pairs = [a.rate / b.rate for a, b in zip(ours.repeats, theirs.repeats, strict=False)]
    return summarise(pairs) if pairs else None


def assert_same_network(rows: Sequence[Row]) -> Mapping[str, int]:
    """Parameters of one agent by network, equal in every row that has an agent; raises NotTheSameNetwork."""
    counts = {row.name: dict(row.ready.parameters) for row in rows if row.ready is not None and row.ready.parameters}
    if not counts:
        return {}
    first, expected = next(iter(counts.items()))
    for name, found in counts.items():
        if found != expected:
            raise NotTheSameNetwork(f"{first} has parameters {expected}, {name} has {found}")
    return expected


def table(workload: Workload, rows: Sequence[Row]) -> dict[str, Any]:
    """One workload as a plain table."""
    floor = next((row for row in rows if row.candidate.role == "floor"), None)
    peers = [row for row in rows if row.candidate.role == "peer"]
    return {
        "name": workload.name,
        "title": workload.title,
        "unit": workload.unit,
        "curves": dict(workload.curves),
        "parameters": dict(assert_same_network(rows)),
        "peers": [peer.name for peer in peers],
        "rows": [_row(row, floor, peers) for row in rows],
    }


def _row(row: Row, floor: Row | None, peers: Sequence[Row]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": row.name,
        "role": row.candidate.role,
        "seeds": row.candidate.seeds,
        "compiled": row.candidate.compiles,
        "differs": row.candidate.differs,
        "error": row.error,
        "skipped": row.skipped,
    }
    if row.ready is None or not (row.repeats or row.starts):
        return entry
    return entry | {
        "times_as_fast_as": {peer.name: _asdict(ratio(row, peer)) for peer in peers if peer is not row},
        **(_starts(row) if row.starts else _speed(row, row.ready.flops, floor)),
        **(_shared(row) if row.shared else {}),
    }


def _shared(row: Row) -> dict[str, Any]:
    pairs = [(each, repeat.rate) for each, repeat in zip(row.shared, row.repeats, strict=True)]
    return {
        "beside_per_second": summarise([each.beside for each, _ in pairs])._asdict(),
        "kept_beside": summarise([each.beside / rate for each, rate in pairs])._asdict(),
        "two_of_one": summarise([each.together / rate for each, rate in pairs])._asdict(),
    }


def _starts(row: Row) -> dict[str, Any]:
    return {
        "warm_start_seconds": summarise(row.starts)._asdict(),
        "cold_start_seconds": row.cold_start_seconds,
        "starts": list(row.starts),
    }


def _speed(row: Row, flops: int, floor: Row | None) -> dict[str, Any]:
    rates = summarise([repeat.rate for repeat in row.repeats])
    share = None if floor is None or row is floor else ratio(row, floor)
    first, last = row.repeats[0].lap, row.repeats[-1].lap
    between = sum(repeat.lap.units for repeat in row.repeats[1:])
    return {
        "per_second": rates._asdict(),
        "milliseconds_each": 1e3 / rates.median,
        "gflop_each": flops / 1e9 if flops else None,
        "gflop_per_second": rates.median * flops / 1e9 if flops else None,
        "share_of_floor": _asdict(share),
        "peak_mib": max(repeat.lap.peak for repeat in row.repeats) / MIB,
        "grown_mib": (last.held - first.held) / MIB,
        "grown_over": between,
        "disturbed": sum(repeat.disturbed for repeat in row.repeats),
        "repeats": [
            {
                "units": repeat.lap.units,
                "seconds": repeat.lap.seconds,
                "held_mib": round(repeat.lap.held / MIB, 2),
                "foreign_cores": round(repeat.foreign_cores, 3),
            }
            for repeat in row.repeats
        ],
    }


def _asdict(summary: Summary | None) -> dict[str, float] | None:
    return None if summary is None else summary._asdict()
