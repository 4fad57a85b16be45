"""``composer compare``: the comparison as a table for programs and as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from composer.spec.quantities import columns
from composer.studies.compare.compare import compare, number_format
from composer.studies.compare.plot import plot
from composer.studies.statistics import span


def answer(
    paths: Sequence[Path],
    metric: str,
    at: int | None,
    thresholds: Sequence[float],
    curves: Path | None,
    constants: str = "auto",
    labels: Sequence[str] = (),
) -> dict[str, Any]:
    """Compare runs, draw learning curves into ``curves``, and return the table; raises RunUnusable and Refused."""
    comparison = compare(paths, metric, at, thresholds, constants, labels)
    if curves is not None:
        plot(comparison.groups, metric, curves)
    return dict(comparison.table)


def text(table: Mapping[str, Any]) -> str:
    """A table per task, the pairs with their verdicts, and notes."""
    interval, form = table["interval"], _form(table)
    lines = [f"{table['metric']}, with the {interval['method']}"]
    for task in table["tasks"]:
        lines += ["", f"{task['task']} at environment step {task['env_step']:,}"]
        lines += columns(_rows(task, form))
        lines += _sentences(task["pairs"])
    over = table["all_tasks"]
    if over is not None and over["agents"]:
        lines += ["", f"over all {len(over['tasks'])} tasks, with equal weights in the mean: {over['scores']}"]
        lines += columns(_over_rows(over))
        lines += _sentences(over["pairs"])
    if table["notes"]:
        lines += ["", *(f"note: {note}" for note in table["notes"])]
    return "\n".join(lines)


def _over_rows(over: Mapping[str, Any]) -> list[list[str]]:
    shown = {"mean": "mean", "iqm": "IQM", "median": "median", "optimality_gap": "optimality gap", "area": "area"}
    present = [name for name in shown if name in over["agents"][0]]
    form = number_format([row["mean"]["value"] for row in over["agents"]])
    rows = [["", "seeds", *(shown[name] for name in present)]]
    for row in over["agents"]:
        rows.append([row["agent"], "+".join(map(str, row["seeds"])), *(span(row[name], form) for name in present)])
    return rows


def _form(table: Mapping[str, Any]) -> str:
    return number_format([row["final"]["mean"]["value"] for task in table["tasks"] for row in task["agents"]])


def _rows(task: Mapping[str, Any], form: str) -> list[list[str]]:
    thresholds = [reach["threshold"] for reach in task["agents"][0]["thresholds"]]
    scale = task["scale"]
    heads = ["", "seeds", "mean", "IQM", f"area from {task['area_from']:,}"]
    heads += [f"mean, {scale['title']}"] if scale and scale["name"] else []
    rows = [heads + [f"env steps to {value:g}" for value in thresholds]]
    for row in task["agents"]:
        estimates = [span(each, form) for each in (row["final"]["mean"], row["final"]["iqm"], row["area"]["mean"])]
        if scale and scale["name"]:
            estimates.append(span(row["normalized"]["mean"], ".3f"))
        rows.append([row["agent"], str(len(row["seeds"])), *estimates, *map(_reach, row["thresholds"])])
    return rows


def _reach(reach: Mapping[str, Any]) -> str:
    counts = f"{reach['reached']} of {reach['seeds']} seeds"
    return counts if reach["median_env_step"] is None else f"{reach['median_env_step']:,.0f} (median; {counts})"


def _sentences(pairs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for pair in pairs:
        yield f"{pair['sentence']}."
