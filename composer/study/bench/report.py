"""The arithmetic of a benchmark, as plain tables for JSON and as text for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from composer.study.bench.race import Row


class Summary(NamedTuple):
    """Middle and extremes of some repeats."""

    median: float
    low: float
    high: float


class NotTheSameNetwork(RuntimeError):
    """Two parties that were to be compared have different numbers of parameters: the comparison would mean nothing."""


def summarise(values: Sequence[float]) -> Summary:
    """Median, smallest and largest of at least one value."""
    return Summary(median(values), min(values), max(values))


def ratio(ours: Row, theirs: Row) -> Summary | None:
    """How many times as fast, taken round by round; None where either has no repeat in common with the other."""
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


def table(title: str, rows: Sequence[Row], floor: str, peers: Sequence[str]) -> dict[str, Any]:
    """One workload as a plain table; ``floor`` and ``peers`` are names of rows."""
    named = {row.name: row for row in rows}
    return {
        "title": title,
        "parameters": dict(assert_same_network(rows)),
        "floor": floor,
        "peers": list(peers),
        "rows": [_row(row, named[floor], [named[peer] for peer in peers]) for row in rows],
    }


def _row(row: Row, floor: Row, peers: Sequence[Row]) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": row.name, "error": row.error, "skipped": row.skipped}
    if row.ready is None or not row.repeats:
        return entry
    rates = summarise([repeat.rate for repeat in row.repeats])
    share = ratio(row, floor)
    flops = row.ready.flops / row.ready.agents
    return entry | {
        "agents": row.ready.agents,
        "agent_updates_per_second": rates._asdict(),
        "gflop_per_agent_update": flops / 1e9,
        "gflop_per_second": rates.median * flops / 1e9,
        "share_of_floor": None if share is None or row is floor else share._asdict(),
        "times_as_fast_as": {peer.name: _asdict(ratio(row, peer)) for peer in peers if peer is not row},
        "start_seconds": row.ready.start_seconds,
        "cold_start_seconds": row.cold_start_seconds,
        "disturbed": sum(repeat.disturbed for repeat in row.repeats),
        "repeats": [
            {"agent_updates": r.lap.updates, "seconds": r.lap.seconds, "foreign_cores": round(r.foreign_cores, 3)}
            for r in row.repeats
        ],
    }


def _asdict(summary: Summary | None) -> dict[str, float] | None:
    return None if summary is None else summary._asdict()


def text(result: Mapping[str, Any]) -> str:
    """The whole benchmark for people."""
    machine = result["machine"]
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} torch threads, {machine['cpu_capability']}",
        ", ".join(
            f"{name} {machine[name] or 'not installed'}"
            for name in ("composer", "python", "torch", "numpy", "stable-baselines3")
        ),
        f"{result['repeats']} rounds of {result['seconds']:g} s each, parties in turns: median (lowest to highest)",
    ]
    for workload in result["workloads"]:
        lines += ["", *_workload_lines(workload)]
    if any(row.get("disturbed") for workload in result["workloads"] for row in workload["rows"]):
        lines += [
            "",
            f"‡ repeats during which other processes used more than {result['foreign_limit']} core: not to be quoted",
        ]
    return "\n".join(lines)


def _workload_lines(workload: Mapping[str, Any]) -> list[str]:
    counts = ", ".join(f"{name} {count:,}" for name, count in workload["parameters"].items())
    heads = [
        "",
        "agent updates/s",
        "GFLOP/update",
        "GFLOP/s",
        "of floor",
        *(f"x {peer}" for peer in workload["peers"]),
        "start s (cold)",
    ]
    body = [heads, *(_cells(row, workload["peers"]) for row in workload["rows"])]
    widths = [max(len(line[column]) for line in body if len(line) > 2) for column in range(len(heads))]
    widths[0] = max(len(line[0]) for line in body)
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip() for line in body]
    return [workload["title"], f"the same parameters everywhere: {counts}", *shown]


def _cells(row: Mapping[str, Any], peers: Sequence[str]) -> list[str]:
    if "agents" not in row:
        return [row["name"], f"{'skipped' if row['skipped'] else 'failed'}: {row['error']}"]
    share, times = row["share_of_floor"], row["times_as_fast_as"]
    start = f"{row['start_seconds']:.1f}" + (f" ({row['cold_start_seconds']:.1f})" if row["cold_start_seconds"] else "")
    mark = f" ‡{row['disturbed']}" if row["disturbed"] else ""
    return [
        row["name"],
        _span(row["agent_updates_per_second"], 1) + mark + (f" then failed: {row['error']}" if row["error"] else ""),
        f"{row['gflop_per_agent_update']:.3f}",
        f"{row['gflop_per_second']:.1f}",
        "" if share is None else f"{share['median']:.0%}",
        *("" if times.get(peer) is None else _span(times[peer], 2) for peer in peers),
        start,
    ]


def _span(summary: Mapping[str, float], digits: int) -> str:
    middle, low, high = (f"{summary[key]:.{digits}f}" for key in ("median", "low", "high"))
    return f"{middle} ({low} to {high})"
