"""Whether agents keep learning over a sequence of tasks: the first tasks against the last, and how diagnostics changed.

It reads the evaluation metric and diagnostics at the end of each task, or phase, from the journals of runs.
Legend: n seeds, K tasks. Tests: tests/studies/test_retention.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from composer.spec.interval import LEVEL, method
from composer.studies import Refused
from composer.studies.correlate.ranks import rank_correlations
from composer.studies.statistics import Estimate, Floats, Scores
from composer.tracking.records import JOURNAL
from composer.training.runs.directory import read_blueprint, read_facts
from composer.training.runs.results import read_metrics

if TYPE_CHECKING:
    from composer.blueprint import Blueprint

CORRELATION = (-1.0, 1.0)
"""The values that a correlation can have."""
PROXIES = "diagnostics/"
EDGE = 5
"""Fewest tasks at either end whose scores are averaged: a tenth of longer sequences, a cycle where tasks come again."""
KEPT = 0.9
"""An agent whose last score is at least this share of its first has kept its plasticity."""
LEARNED = 0.5
"""An agent whose first score is below this share of the plain agent's has not learned."""


@dataclass(frozen=True)
class TaskRun:
    """One run: the evaluation metric and diagnostics of every seed at the end of each task."""

    name: str
    seeds: tuple[int, ...]
    scores: Floats
    """``[n, K]``"""
    proxies: Mapping[str, Floats]
    """Each ``[n, K]``, by name without the prefix ``diagnostics/``."""
    metric: str = "evaluation/accuracy"
    bounds: tuple[float, float] = (0.0, 1.0)
    """The values that the metric can have."""
    edge: int = EDGE

    def ends(self) -> tuple[Floats, Floats]:
        """Mean score of the first tasks and of the last ones, ``[n]`` each."""
        return self.scores[:, : self.edge].mean(1), self.scores[:, -self.edge :].mean(1)

    @property
    def floor(self) -> float:
        """What shares of scores are counted from: the least possible score, 0 where there is none."""
        return self.bounds[0] if math.isfinite(self.bounds[0]) else 0.0


def read_run(run: Path) -> TaskRun:
    """Read a run; raises RunUnusable and Refused."""
    facts, blueprint = read_facts(run), read_blueprint(run)
    environment, seeds = blueprint.environment, tuple(blueprint.seeds)
    ends, metric = _ends(blueprint), environment.metric
    if not ends:
        raise Refused(f"{run}: its environment is {environment.kind!r}, which is no sequence of tasks")
    found: dict[str, Floats] = {}
    for name, series in read_metrics(run / JOURNAL, seeds, at=set(ends)).items():
        values = series.values[:, np.isin(series.env_steps, ends)]
        if values.shape[1] == len(ends) and not np.isnan(values).any():
            found[name] = values
    edge = environment.stages_per_cycle if environment.stages_per_cycle > 1 else max(EDGE, len(ends) // 10)
    if len(ends) < 2 * edge or metric not in found:
        raise Refused(f"{run}: needs {metric!r} at the end of each of at least {2 * edge} tasks (evaluation.every)")
    proxies = {name.removeprefix(PROXIES): values for name, values in found.items() if name.startswith(PROXIES)}
    return TaskRun(facts["variant"] or "base", seeds, found[metric], proxies, metric, environment.metric_range, edge)


def _ends(blueprint: Blueprint) -> list[int]:
    """Environment steps at the end of each whole task of a run; empty where its tasks are not planned."""
    environment, last = blueprint.environment, blueprint.training.env_steps
    if length := environment.task_interactions:
        return [length * number for number in range(1, last // length + 1)]
    if environment.stages_differ_by_seed:
        return []
    starts = [stage.start * environment.stride for stage in environment.stages(blueprint.algorithm.batch_size)]
    return [*(start for start in starts[1:] if start < last), last] if starts else []


def compare(paths: Sequence[Path]) -> tuple[dict[str, Any], list[TaskRun]]:
    """The table that ``composer retention`` prints, and the runs that it compares; the first run is the plain one.

    Raises RunUnusable, and Refused also where runs have different metrics or tasks.
    """
    runs = [read_run(path) for path in paths]
    plain = runs[0]
    for path, run in zip(paths, runs, strict=True):
        ours, theirs = (run.metric, run.scores.shape[1], run.edge), (plain.metric, plain.scores.shape[1], plain.edge)
        if ours != theirs:
            told = "{0!r} over {1} tasks, {2} a cycle".format
            raise Refused(f"{path}: {told(*ours)}, and the first run {told(*theirs)}: they cannot be compared")
    table = {
        "tasks": plain.scores.shape[1],
        "metric": plain.metric,
        "edge": plain.edge,
        "kept_at": KEPT,
        "interval": {"level": LEVEL, "method": method()},
        "agents": [_agent(each, plain) for each in runs],
        "proxies": _proxies(runs, plain),
    }
    return table, runs


def _agent(each: TaskRun, plain: TaskRun) -> dict[str, Any]:
    first, last = each.ends()
    low, high = each.bounds
    differences = (low - high, high - low)
    change = Scores.of(last - first, bounds=differences)
    shared = [seed for seed in each.seeds if seed in plain.seeds]
    ours = last[[each.seeds.index(seed) for seed in shared]]
    theirs = plain.ends()[1][[plain.seeds.index(seed) for seed in shared]]
    gain = Scores.of(ours - theirs, bounds=differences).summary() if each is not plain and shared else None
    return {
        "agent": each.name,
        "seeds": list(each.seeds),
        "first": Scores.of(first, bounds=each.bounds).summary(),
        "last": Scores.of(last, bounds=each.bounds).summary(),
        "change": change.summary(),
        "p_value": _paired(first, last),
        "gain_over_plain": gain,
        "verdict": _verdict(first - each.floor, last - each.floor, change.mean(), plain.ends()[0].mean() - each.floor),
    }


def _verdict(first: Floats, last: Floats, change: Estimate, plain_first: float) -> str:
    if first.mean() < LEARNED * plain_first:
        return "never learned"
    if last.mean() >= KEPT * first.mean():
        return "kept"
    return "lost" if change.high < 0 else "unclear"


def _proxies(runs: Sequence[TaskRun], plain: TaskRun) -> list[dict[str, Any]]:
    """Rank correlation of each proxy with scores: over tasks of the plain run, and over all runs at their end."""
    rows = []
    for name in plain.proxies:
        within = np.array([spearman(x, y) for x, y in zip(plain.proxies[name], plain.scores, strict=True)])
        having = [each for each in runs if name in each.proxies]
        ends = np.concatenate([each.proxies[name][:, -each.edge :].mean(1) for each in having])
        reached = np.concatenate([each.ends()[1] for each in having])
        across = spearman(ends, reached) if len(having) > 2 else None
        rows.append(
            {
                "proxy": name,
                "within": Scores.of(within, bounds=CORRELATION).summary(),
                "across": across,
                "runs": len(having),
            }
        )
    return sorted(rows, key=lambda row: -abs(row["within"]["value"]))


def spearman(x: Floats, y: Floats) -> float:
    """Rank correlation, ties averaged; 0 where one side does not vary."""
    return float(np.nan_to_num(rank_correlations(x[None], y[None]))[0, 0])


def _paired(first: Floats, last: Floats) -> float | None:
    """Two-sided paired t-test of the last tasks against the first; None for one seed or where nothing varies."""
    from scipy.stats import ttest_rel

    if len(first) < 2 or np.ptp(last - first) == 0:
        return None
    return float(ttest_rel(last, first).pvalue)
