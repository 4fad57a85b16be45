"""``--csv``: the comparison as one tidy table, a number a row. Tests: tests/studies/test_tidy.py."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from composer.spec.run_files import write_text
from composer.studies import Refused
from composer.studies.compare.compare import Comparison

COLUMNS = (
    "statistic",
    "agent",
    "other",
    "task",
    "seed",
    "env_step",
    "metric",
    "scale",
    "value",
    "low",
    "high",
    "seeds",
)
"""``statistic`` is ``score`` for a seed's own values; ``other`` the second agent of a pair; ``task`` is empty over all
tasks; ``scale`` is raw, or how scores are normalised."""
FINAL = ("mean", "iqm", "optimality_gap")
OVER = ("mean", "iqm", "median", "optimality_gap", "area")
PAIR = ("difference", "probability_of_improvement")


def write(comparison: Comparison, path: Path) -> None:
    """Write the table to ``path``; raises Refused where it cannot be written."""
    if not path.parent.is_dir():
        raise Refused(f"{path}: no such folder: {path.parent}")
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "metric": comparison.table["metric"]} for row in _rows(comparison))
    try:
        write_text(path, text.getvalue())
    except OSError as error:
        raise Refused(f"{path}: cannot be written: {error.strerror}") from error


def _rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
    titles = {task["task"]: (task["scale"] or {}).get("title", "normalised") for task in comparison.table["tasks"]}
    for groups, is_raw in ((comparison.groups, True), (comparison.normalized, False)):
        for group in groups:
            common = {"statistic": "score", "agent": str(group.agent), "task": group.task}
            scale = "raw" if is_raw else titles[group.task]
            for seed, values in zip(group.seeds, group.curve.values, strict=True):
                for step, value in zip(group.curve.steps.tolist(), values.tolist(), strict=True):
                    yield {**common, "seed": seed, "env_step": step, "scale": scale, "value": value}
    for task in comparison.table["tasks"]:
        yield from _of_task(task, titles[task["task"]])
    over = comparison.table["all_tasks"]
    for row in over["agents"] if over else ():
        yield from _estimates(row, OVER, {"agent": row["agent"], "scale": over["scores"], "seeds": _sum(row)})
    for pair in over["pairs"] if over else ():
        yield from _estimates(pair, PAIR, {"agent": pair["left"], "other": pair["right"], "scale": over["scores"]})


def _of_task(task: Mapping[str, Any], title: str) -> Iterator[dict[str, Any]]:
    where = {"task": task["task"], "env_step": task["env_step"]}
    for row in task["agents"]:
        common = {**where, "agent": row["agent"], "seeds": len(row["seeds"])}
        yield from _estimates(row["final"], FINAL, {**common, "scale": "raw"})
        yield from _estimates({"area": row["area"]["mean"]}, ("area",), {**common, "scale": "raw"})
        yield from _estimates(row.get("normalized", {}), FINAL, {**common, "scale": title})
    for pair in task["pairs"]:
        yield from _estimates(pair, PAIR, {**where, "agent": pair["left"], "other": pair["right"], "scale": "raw"})


def _estimates(row: Mapping[str, Any], names: tuple[str, ...], common: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name in names:
        if name in row:
            bounds = {key: "" if row[name][key] is None else row[name][key] for key in ("value", "low", "high")}
            yield {**common, "statistic": name, **bounds}


def _sum(row: Mapping[str, Any]) -> int:
    return sum(row["seeds"])
