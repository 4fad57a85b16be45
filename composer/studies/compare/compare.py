"""Compare agents over seeds, task by task and over all tasks, with intervals, and say what the data decide.

Runs are grouped by task and by agent: name, variant, and the settings in which runs of one name differ. Within a task
all scores are read at one environment step, which every seed of every agent has reached: agents are compared only after
equal experience.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from composer.spec.interval import LEAST, LEVEL, method
from composer.studies.compare.against import against
from composer.studies.compare.firing_effects import firing_effects
from composer.studies.compare.groups import Group, common_step, gather, until
from composer.studies.compare.labels import labelled
from composer.studies.compare.normalize import Scale, normalize
from composer.studies.compare.over_tasks import over_tasks
from composer.studies.compare.read_runs import Reading, read_runs
from composer.studies.compare.verdicts import Pair, judge, pairs_of
from composer.studies.statistics import Curve, Scores, coverage_notes


@dataclass(frozen=True)
class Comparison:
    """The curves, and the table that ``--json`` prints."""

    groups: tuple[Group, ...]
    table: Mapping[str, Any]
    normalized: tuple[Group, ...] = ()
    """The groups of tasks that have constants, with normalised curves."""
    common: tuple[Group, ...] = ()
    """The curves over which all tasks are compared, up to the step of each task; empty for one task, or no scale."""


def compare(
    paths: Sequence[Path],
    metric: str | None = None,
    at: int | None = None,
    thresholds: Sequence[float] = (),
    constants: str = "auto",
    labels: Sequence[str] = (),
    published: str | None = None,
) -> Comparison:
    """Compare run directories on ``metric`` at environment step ``at``.

    By default, the metric is that of their evaluation, and the step the last that all have reached. ``constants``
    names the table by which scores are normalised, ``auto`` or ``none``; for ``labels`` see ``labelled``, for the
    name of ``published`` results that the runs are held against ``against``.
    Raises RunUnusable for a path that is not a run, and Refused where the runs lack the metric or a common step.
    """
    return compare_readings(labelled(read_runs(paths, metric), labels), at, thresholds, constants, published)


def compare_readings(
    readings: Sequence[Reading],
    at: int | None = None,
    thresholds: Sequence[float] = (),
    constants: str = "auto",
    published: str | None = None,
) -> Comparison:
    """The same of runs that were read before, whose agents are named as they shall be."""
    metric = readings[0].metric
    notes = [note for reading in readings for note in reading.notes]
    groups = gather(readings, notes)
    tasks = sorted({group.task for group in groups})
    if len(tasks) > 1:
        notes.append(
            f"different tasks ({', '.join(tasks)}): agents are compared within each task, and over all if they ran all"
        )
    scales, normalized = normalize(groups, constants, notes)
    steps = {task: common_step(task, _on(task, groups), at, notes) for task in tasks}
    cut = [_until(group, _on(group.task, groups), steps[group.task][0]) for group in groups]
    tables = [_table(task, _on(task, cut), steps[task], thresholds, scales.get(task)) for task in tasks]
    _judge_all(tables, cut)
    over, common = over_tasks(cut, scales, notes)
    met = None if published is None else against(groups, scales, metric, published, notes)
    _warn_few(groups, tables, notes)
    table = {
        "metric": metric,
        "interval": {"level": LEVEL, "method": method()},
        "tasks": tables,
        "all_tasks": over,
        "against": met,
        "effects": [each.as_dict() for each in firing_effects(groups)],
        "notes": notes,
    }
    return Comparison(tuple(groups), table, normalized, common)


def _on(task: str, groups: Sequence[Group]) -> list[Group]:
    return [group for group in groups if group.task == task]


def _table(
    task: str, groups: Sequence[Group], steps: tuple[int, int], thresholds: Sequence[float], scale: Scale | None
) -> dict[str, Any]:
    """A task's table, without its pairs; ``steps`` are that of the comparison, and the first one."""
    return {
        "task": task,
        "env_step": steps[0],
        "area_from": steps[1],
        "scale": None if scale is None else scale.as_dict(),
        "agents": [_row(group, thresholds, scale) for group in groups],
    }


def number_format(means: Sequence[float]) -> str:
    """The number format: accuracies and other shares need more digits than returns."""
    return ".3f" if max(map(abs, means), default=0.0) <= 1 else ".1f"


def _judge_all(tables: Sequence[dict[str, Any]], groups: Sequence[Group]) -> None:
    """Put the pairs of a task into its table; all of them are one family."""
    form = number_format([row["final"]["mean"]["value"] for table in tables for row in table["agents"]])
    family: list[Pair] = []
    for table in tables:
        where = f"{table['task']} at environment step {table['env_step']:,}"
        family += pairs_of({group.agent: _final(group) for group in _on(table["task"], groups)}, where)
    judged = judge(family, form)
    for table in tables:
        count = math.comb(len(table["agents"]), 2)
        table["pairs"], judged = judged[:count], judged[count:]


def _until(group: Group, groups: Sequence[Group], step: int) -> Group:
    return Group(group.agent, group.task, group.seeds, until(group.curve, groups, step), group.runs, group.diverged)


def _final(group: Group) -> Scores:
    return Scores.of(group.curve.values[:, -1], bounds=group.curve.bounds)


def _row(group: Group, thresholds: Sequence[float], scale: Scale | None) -> dict[str, Any]:
    curve = group.curve
    last, area, final = curve.values[:, -1], curve.area(), _final(group)
    row = {
        "agent": str(group.agent),
        "name": group.agent.name,
        "variant": group.agent.variant,
        "seeds": list(group.seeds),
        "diverged": list(group.diverged),
        "final": {"by_seed": last.tolist(), "mean": final.summary(), "iqm": final.iqm().as_dict()},
        "area": {"by_seed": area.tolist(), "mean": Scores.of(area, bounds=curve.bounds).summary()},
        "thresholds": [_reach(curve, threshold) for threshold in thresholds],
    }
    if scale is not None:
        row["normalized"] = _normalized(scale.apply(curve))
    return row


def _normalized(curve: Curve) -> dict[str, Any]:
    final = Scores.of(curve.values[:, -1], bounds=curve.bounds)
    return {
        "by_seed": final.tasks[0].tolist(),
        "mean": final.summary(),
        "iqm": final.iqm().as_dict(),
        "optimality_gap": final.optimality_gap().as_dict(),
    }


def _reach(curve: Curve, threshold: float) -> dict[str, Any]:
    first = curve.first_reach(threshold)
    middle = float(np.median(first))
    return {
        "threshold": threshold,
        "reached": int(np.isfinite(first).sum()),
        "seeds": len(first),
        "median_env_step": middle if math.isfinite(middle) else None,
        "by_seed": [int(step) if np.isfinite(step) else None for step in first],
    }


def _warn_few(groups: Sequence[Group], tables: Sequence[Mapping[str, Any]], notes: list[str]) -> None:
    fewest = min(len(group.seeds) for group in groups)
    if fewest < LEAST:
        notes.append(f"with fewer than {LEAST} seeds there is no interval: the values of the seeds are shown")
    notes += coverage_notes(fewest, "seeds")
    pairs = sum(len(table["pairs"]) for table in tables)
    if pairs > 1:
        notes.append(f"p-values of the {pairs} comparisons on single tasks are corrected together by Holm's method")
    for table in tables:
        if len(table["agents"]) == 1:
            notes.append(f"{table['task']}: only one agent, no comparison")
