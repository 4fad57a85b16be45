"""``composer compare``: the comparison as a table for programs and as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from composer.spec.quantities import columns
from composer.studies.compare.compare import compare
from composer.studies.compare.plot import plot
from composer.studies.statistics import span


def answer(
    paths: Sequence[Path], metric: str, at: int | None, thresholds: Sequence[float], curves: Path | None
) -> dict[str, Any]:
    """Compare runs, draw learning curves into ``curves``, and return the table; raises RunUnusable and Refused."""
    comparison = compare(paths, metric, at, thresholds)
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
        lines += _pairs(task["pairs"], form)
    over = table["all_tasks"]
    if over is not None and over["agents"]:
        lines += ["", f"over all {len(over['tasks'])} tasks, with equal weights in the mean"]
        body = [["", "seeds", "mean", "IQM"]]
        body += [
            [row["agent"], "+".join(map(str, row["seeds"])), span(row["mean"], form), span(row["iqm"], form)]
            for row in over["agents"]
        ]
        lines += columns(body)
        lines += _pairs(over["pairs"], form)
    if table["notes"]:
        lines += ["", *(f"note: {note}" for note in table["notes"])]
    return "\n".join(lines)


def _form(table: Mapping[str, Any]) -> str:
    """The number format: accuracies and other shares need more digits than returns."""
    means = [abs(row["final"]["mean"]["value"]) for task in table["tasks"] for row in task["agents"]]
    return ".3f" if max(means, default=0.0) <= 1 else ".1f"


def _rows(task: Mapping[str, Any], form: str) -> list[list[str]]:
    thresholds = [reach["threshold"] for reach in task["agents"][0]["thresholds"]]
    heads = ["", "seeds", "mean", "IQM", f"area from {task['area_from']:,}"]
    rows = [heads + [f"env steps to {value:g}" for value in thresholds]]
    for row in task["agents"]:
        estimates = [span(each, form) for each in (row["final"]["mean"], row["final"]["iqm"], row["area"]["mean"])]
        rows.append([row["agent"], str(len(row["seeds"])), *estimates, *map(_reach, row["thresholds"])])
    return rows


def _reach(reach: Mapping[str, Any]) -> str:
    counts = f"{reach['reached']} of {reach['seeds']} seeds"
    return counts if reach["median_env_step"] is None else f"{reach['median_env_step']:,.0f} (median; {counts})"


def _pairs(pairs: Sequence[Mapping[str, Any]], form: str) -> Iterator[str]:
    for pair in pairs:
        chance = pair["probability_of_improvement"]
        yield (
            f"{pair['left']} - {pair['right']}: difference {span(pair['difference'], form)},"
            f" P(improvement) {span(chance, '.2f')}: {pair['verdict']}"
        )
