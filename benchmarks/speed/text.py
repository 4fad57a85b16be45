"""A benchmark's result as text. Tests: tests/benchmarks/test_speed.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.speed.machine import LIBRARIES


def text(result: Mapping[str, Any]) -> str:
    """The whole benchmark, or the list of workloads."""
    if "machine" not in result:
        width = max(len(each["name"]) for each in result["workloads"])
        return "\n".join(f"{each['name'].ljust(width)}  {each['title']}" for each in result["workloads"])
    machine = result["machine"]
    versions = (f"{name} {machine[name] or 'not installed'}" for name in ("composer", "python", *LIBRARIES))
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} torch threads, {machine['cpu_capability']}",
        ", ".join(versions),
        f"{result['repeats']} rounds of {result['seconds']:g} s each, candidates in turns: median (lowest to highest)",
    ]
    for workload in result["workloads"]:
        lines += ["", *_workload(workload)]
    if any(row.get("disturbed") for workload in result["workloads"] for row in workload["rows"]):
        lines += [
            "",
            f"‡ repeats during which other processes used more than {result['foreign_limit']} core: do not quote them",
        ]
    return "\n".join(lines)


def _workload(workload: Mapping[str, Any]) -> list[str]:
    rows = [_cells(row, workload) for row in workload["rows"]]
    heads = [head for head in dict.fromkeys(head for cells in rows for head in cells) if head]
    kept = [head for head in heads if any(cells.get(head) for cells in rows)]
    body = [["", *kept], *([cells[""], *(cells.get(head, "") for head in kept)] for cells in rows)]
    widths = [max(len(line[column]) for line in body) for column in range(len(kept) + 1)]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in body]
    for place, row in enumerate(workload["rows"]):
        if row["error"]:
            why = f"{'skipped' if row['skipped'] else 'failed'}: {row['error']}"
            shown[place + 1] = f"{shown[place + 1].ljust(widths[0])}  {why}"
    notes = [f"{row['name']}: {row['differs']}" for row in workload["rows"] if row["differs"] and not row["error"]]
    counts = ", ".join(f"{name} {count:,}" for name, count in workload["parameters"].items())
    same = [f"the same parameters everywhere: {counts}"] if counts else []
    return [f"{workload['name']}: {workload['title']}", *same, *shown, *notes]


def _cells(row: Mapping[str, Any], workload: Mapping[str, Any]) -> dict[str, str]:
    """Cells by column; empty columns are left out of the table."""
    times = row.get("times_as_fast_as", {})
    ratios = {f"x {peer}": _span(times.get(peer), 2) for peer in workload["peers"]}
    if "warm_start_seconds" in row:
        cold = f"{row['cold_start_seconds']:.1f}"
        return {"": row["name"], "warm s": _span(row["warm_start_seconds"], 1), "cold s": cold, **ratios}
    if "per_second" not in row:
        return {"": row["name"]}
    mark = f" ‡{row['disturbed']}" if row["disturbed"] else ""
    flops, share = row["gflop_each"], row["share_of_floor"]
    return {
        "": row["name"],
        f"{workload['unit']}/s": _span(row["per_second"], 1) + mark,
        "busy beside/s": _span(row.get("beside_per_second"), 1),
        "kept": _span(row.get("kept_beside"), 2),
        "two at once of one": _span(row.get("two_of_one"), 2),
        "ms each": f"{row['milliseconds_each']:.3g}",
        "GFLOP each": "" if flops is None else f"{flops:.3f}",
        "GFLOP/s": "" if flops is None else f"{row['gflop_per_second']:.1f}",
        "of floor": "" if share is None else f"{share['median']:.0%}",
        **ratios,
        "peak MiB": f"{row['peak_mib']:.0f}",
        "grown MiB": f"{row['grown_mib']:+.1f} in {row['grown_over']:,}",
    }


def _span(summary: Mapping[str, float] | None, digits: int) -> str:
    if summary is None:
        return ""
    middle, low, high = (f"{summary[key]:.{digits}f}" for key in ("median", "low", "high"))
    return f"{middle} ({low} to {high})"
