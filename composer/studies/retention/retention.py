"""Whether agents keep learning over a sequence of tasks: the first tasks against the last, and how diagnostics changed.

It reads accuracy and diagnostics at the end of each task from the journals of runs.
Legend: n seeds, K tasks. Tests: tests/studies/test_retention.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from composer.spec.interval import LEVEL, method
from composer.studies import Refused
from composer.studies.correlate.ranks import rank_correlations
from composer.studies.statistics import Estimate, Floats, Scores
from composer.tracking.records import JOURNAL
from composer.training.runs.directory import read_blueprint, read_facts
from composer.training.runs.results import read_metrics

METRIC = "evaluation/accuracy"
ACCURACY, DIFFERENCE = (0.0, 1.0), (-1.0, 1.0)
"""The values that an accuracy can have, and those of a difference of two, or of a correlation."""
PROXIES = "diagnostics/"
EDGE = 5
"""Tasks at either end whose accuracies are averaged."""
KEPT = 0.9
"""An agent whose last accuracy is at least this share of its first has kept its plasticity."""
LEARNED = 0.5
"""An agent whose first accuracy is below this share of the plain agent's has not learned."""


@dataclass(frozen=True)
class TaskRun:
    """One run: accuracy and diagnostics of every seed at the end of each task."""

    name: str
    seeds: tuple[int, ...]
    accuracy: Floats
    """``[n, K]``"""
    proxies: Mapping[str, Floats]
    """Each ``[n, K]``, by name without the prefix ``diagnostics/``."""

    def ends(self) -> tuple[Floats, Floats]:
        """Mean accuracy of the first tasks and of the last ones, ``[n]`` each."""
        return self.accuracy[:, :EDGE].mean(1), self.accuracy[:, -EDGE:].mean(1)


def read_run(run: Path) -> TaskRun:
    """Read a run; raises RunUnusable and Refused."""
    facts, blueprint = read_facts(run), read_blueprint(run)
    length, seeds = blueprint.environment.task_interactions, tuple(blueprint.seeds)
    if not length:
        raise Refused(f"{run}: its environment is {blueprint.environment.kind!r}, which is no sequence of tasks")
    tasks = blueprint.training.env_steps // length
    ends = length * np.arange(1, tasks + 1)
    found: dict[str, Floats] = {}
    for name, series in read_metrics(run / JOURNAL, seeds, at=set(ends.tolist())).items():
        values = series.values[:, np.isin(series.env_steps, ends)]
        if values.shape[1] == tasks and not np.isnan(values).any():
            found[name] = values
    if tasks < 2 * EDGE or METRIC not in found:
        raise Refused(f"{run}: needs {METRIC!r} at the end of each of at least {2 * EDGE} tasks (evaluation.every)")
    proxies = {name.removeprefix(PROXIES): values for name, values in found.items() if name.startswith(PROXIES)}
    return TaskRun(facts["variant"] or "base", seeds, found[METRIC], proxies)


def compare(paths: Sequence[Path]) -> tuple[dict[str, Any], list[TaskRun]]:
    """The table that ``composer retention`` prints, and the runs that it compares; the first run is the plain one."""
    runs = [read_run(path) for path in paths]
    plain = runs[0]
    table = {
        "tasks": plain.accuracy.shape[1],
        "edge": EDGE,
        "kept_at": KEPT,
        "interval": {"level": LEVEL, "method": method()},
        "agents": [_agent(each, plain) for each in runs],
        "proxies": _proxies(runs, plain),
    }
    return table, runs


def _agent(each: TaskRun, plain: TaskRun) -> dict[str, Any]:
    first, last = each.ends()
    change = Scores.of(last - first, bounds=DIFFERENCE)
    shared = [seed for seed in each.seeds if seed in plain.seeds]
    ours = last[[each.seeds.index(seed) for seed in shared]]
    theirs = plain.ends()[1][[plain.seeds.index(seed) for seed in shared]]
    gain = Scores.of(ours - theirs, bounds=DIFFERENCE).summary() if each is not plain and shared else None
    return {
        "agent": each.name,
        "seeds": list(each.seeds),
        "first": Scores.of(first, bounds=ACCURACY).summary(),
        "last": Scores.of(last, bounds=ACCURACY).summary(),
        "change": change.summary(),
        "p_value": _paired(first, last),
        "gain_over_plain": gain,
        "verdict": _verdict(first, last, change.mean(), plain.ends()[0].mean()),
    }


def _verdict(first: Floats, last: Floats, change: Estimate, plain_first: float) -> str:
    if first.mean() < LEARNED * plain_first:
        return "never learned"
    if last.mean() >= KEPT * first.mean():
        return "kept"
    return "lost" if change.high < 0 else "unclear"


def _proxies(runs: Sequence[TaskRun], plain: TaskRun) -> list[dict[str, Any]]:
    """Rank correlation of each proxy with accuracy: over tasks of the plain run, and over all runs at their end."""
    rows = []
    for name in plain.proxies:
        within = np.array([spearman(x, y) for x, y in zip(plain.proxies[name], plain.accuracy, strict=True)])
        having = [each for each in runs if name in each.proxies]
        ends = np.concatenate([each.proxies[name][:, -EDGE:].mean(1) for each in having])
        reached = np.concatenate([each.ends()[1] for each in having])
        across = spearman(ends, reached) if len(having) > 2 else None
        rows.append(
            {
                "proxy": name,
                "within": Scores.of(within, bounds=DIFFERENCE).summary(),
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
