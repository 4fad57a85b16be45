"""What ``composer compare`` does, and its table in words and columns for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from composer.studies.compare.compare import compare
from composer.studies.compare.plot import plot


def answer(
    paths: Sequence[Path], metric: str, at: int | None, thresholds: Sequence[float], curves: Path | None
) -> dict[str, Any]:
    """Compare runs, draw learning curves into ``curves``, and return the table; raises RunUnusable and Refused."""
    comparison = compare(paths, metric, at, thresholds)
    if curves is not None:
        plot(comparison.groups, metric, curves)
    return dict(comparison.table)


def text(table: Mapping[str, Any]) -> str:
    """Tables by task, pairs with their verdicts, and notes."""
    interval, digits = table["interval"], _digits(table)
    lines = [f"{table['metric']}, in brackets the {interval['level']:.0%} interval ({interval['method']})"]
    for task in table["tasks"]:
        lines += ["", f"{task['task']} at environment step {task['env_step']:,}"]
        lines += _columns(_rows(task, digits))
        lines += _pairs(task["pairs"], digits)
    over = table["all_tasks"]
    if over is not None and over["agents"]:
        lines += ["", f"over all {len(over['tasks'])} tasks, each weighing the same in the mean"]
        body = [["", "seeds", "mean", "IQM"]]
        body += [
            [row["agent"], "+".join(map(str, row["seeds"])), _span(row["mean"], digits), _span(row["iqm"], digits)]
            for row in over["agents"]
        ]
        lines += _columns(body)
        lines += _pairs(over["pairs"], digits)
    if table["notes"]:
        lines += ["", *(f"note: {note}" for note in table["notes"])]
    return "\n".join(lines)


def _digits(table: Mapping[str, Any]) -> int:
    """After the point: accuracies and other shares need more of them than returns."""
    means = [abs(row["final"]["mean"]["value"]) for task in table["tasks"] for row in task["agents"]]
    return 3 if max(means, default=0.0) <= 1 else 1


def _rows(task: Mapping[str, Any], digits: int) -> list[list[str]]:
    thresholds = [reach["threshold"] for reach in task["agents"][0]["thresholds"]]
    heads = [
        "",
        "seeds",
        "mean",
        "IQM",
        f"area from {task['area_from']:,}",
        *(f"env steps to {value:g}" for value in thresholds),
    ]
    return [heads, *(_row(row, digits) for row in task["agents"])]


def _row(row: Mapping[str, Any], digits: int) -> list[str]:
    final = row["final"]
    reaches = [_reach(reach) for reach in row["thresholds"]]
    return [
        row["agent"],
        str(len(row["seeds"])),
        _span(final["mean"], digits),
        _span(final["iqm"], digits),
        _span(row["area"]["mean"], digits),
        *reaches,
    ]


def _reach(reach: Mapping[str, Any]) -> str:
    counts = f"{reach['reached']} of {reach['seeds']} seeds"
    return counts if reach["median_env_step"] is None else f"{reach['median_env_step']:,.0f} (median; {counts})"


def _pairs(pairs: Sequence[Mapping[str, Any]], digits: int) -> Iterator[str]:
    for pair in pairs:
        chance = pair["probability_of_improvement"]
        yield (
            f"{pair['left']} - {pair['right']}: difference {_span(pair['difference'], digits)},"
            f" P(improvement) {_span(chance, 2)}: {pair['verdict']}"
        )


def _span(estimate: Mapping[str, Any], digits: int) -> str:
    value = f"{estimate['value']:.{digits}f}"
    return (
        value if estimate["low"] is None else f"{value} [{estimate['low']:.{digits}f}, {estimate['high']:.{digits}f}]"
    )


def _columns(body: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in body) for column in range(len(body[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in body]
