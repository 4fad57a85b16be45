"""Whether agents keep learning over a sequence of tasks: the first tasks against the last, and what went with it.

What is read are runs of ``task_sequence``: accuracy at the end of each task, and diagnostics read there. Pure but for
reading journals. Legend: n seeds, K tasks. Tests: tests/studies/test_retention.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from composer.studies import Refused
from composer.studies.statistics import LEVEL, REPETITIONS, SEED
from composer.tracking.journal import read
from composer.tracking.records import JOURNAL
from composer.training.runs.directory import read_blueprint, read_facts

METRIC = "evaluation/accuracy"
PROXIES = "diagnostics/"
EDGE = 5
"""Tasks at either end whose accuracies are averaged."""
KEPT = 0.9
"""Share of its first accuracy that an agent must still reach to count as having kept its plasticity."""
LEARNED = 0.5
"""Share of the plain agent's first accuracy below which an agent has nothing to keep."""

Floats = NDArray[np.float64]


class NoTasks(Refused):
    """A run is no sequence of tasks, or is too short to tell its first tasks from its last."""


@dataclass(frozen=True)
class Course:
    """One run: what every seed reached at the end of each task."""

    name: str
    seeds: tuple[int, ...]
    accuracy: Floats
    """``[n, K]``"""
    proxies: Mapping[str, Floats]
    """Each ``[n, K]``, by name without what all have in common."""

    def ends(self) -> tuple[Floats, Floats]:
        """Mean accuracy of the first tasks and of the last ones, ``[n]`` each."""
        return self.accuracy[:, :EDGE].mean(1), self.accuracy[:, -EDGE:].mean(1)


def course(run: Path) -> Course:
    """Read a run; raises RunUnusable and NoTasks."""
    facts, blueprint = read_facts(run), read_blueprint(run)
    length = blueprint.environment.task_interactions
    if not length:
        raise NoTasks(f"{run}: its environment is {blueprint.environment.kind!r}, which is no sequence of tasks")
    table: dict[str, dict[tuple[int, int], float]] = {}
    for row in read(run / JOURNAL):
        if row["type"] == "metrics" and row["env_step"] % length == 0:
            for name, value in row["metrics"].items():
                if name == METRIC or name.startswith(PROXIES):
                    table.setdefault(name, {})[row["seed"], row["env_step"] // length] = value
    tasks = blueprint.training.env_steps // length
    if tasks < 2 * EDGE or len(table.get(METRIC, {})) < tasks * len(blueprint.seeds):
        raise NoTasks(f"{run}: needs {METRIC!r} at the end of each of at least {2 * EDGE} tasks (evaluation.every)")
    seeds = tuple(blueprint.seeds)
    arrays = {
        name: np.array([[points[seed, task] for task in range(1, tasks + 1)] for seed in seeds])
        for name, points in table.items()
        if len(points) == tasks * len(seeds)
    }
    proxies = {name.removeprefix(PROXIES): values for name, values in arrays.items() if name != METRIC}
    return Course(facts["variant"] or "base", seeds, arrays[METRIC], proxies)


def answer(runs: Sequence[Path]) -> tuple[dict[str, Any], list[Course]]:
    """The table that ``composer retention`` prints, and what it is made from; the first run is the plain one."""
    courses = [course(run) for run in runs]
    plain = courses[0]
    table = {
        "tasks": plain.accuracy.shape[1],
        "edge": EDGE,
        "kept_at": KEPT,
        "interval": {"level": LEVEL, "method": f"bootstrap over seeds, {REPETITIONS:,} repetitions"},
        "agents": [_agent(each, plain) for each in courses],
        "proxies": _proxies(courses, plain),
    }
    return table, courses


def _agent(each: Course, plain: Course) -> dict[str, Any]:
    first, last = each.ends()
    change = interval(last - first)
    shared = [seed for seed in each.seeds if seed in plain.seeds]
    ours = last[[each.seeds.index(seed) for seed in shared]]
    theirs = plain.ends()[1][[plain.seeds.index(seed) for seed in shared]]
    gain = interval(ours - theirs) if each is not plain and shared else None
    return {
        "agent": each.name,
        "seeds": list(each.seeds),
        "first": interval(first),
        "last": interval(last),
        "change": change,
        "p_value": _paired(first, last),
        "gain_over_plain": gain,
        "verdict": _verdict(first, last, change, plain.ends()[0].mean()),
    }


def _verdict(first: Floats, last: Floats, change: Mapping[str, float], plain_first: float) -> str:
    if first.mean() < LEARNED * plain_first:
        return "never learned"
    if last.mean() >= KEPT * first.mean():
        return "kept"
    return "lost" if change["high"] < 0 else "unclear"


def _proxies(courses: Sequence[Course], plain: Course) -> list[dict[str, Any]]:
    """Rank correlation of each proxy with accuracy: over the tasks of the plain run, and over the ends of all runs."""
    rows = []
    for name in plain.proxies:
        within = np.array([spearman(x, y) for x, y in zip(plain.proxies[name], plain.accuracy, strict=True)])
        having = [each for each in courses if name in each.proxies]
        ends = np.concatenate([each.proxies[name][:, -EDGE:].mean(1) for each in having])
        reached = np.concatenate([each.ends()[1] for each in having])
        across = spearman(ends, reached) if len(having) > 2 else None
        rows.append({"proxy": name, "within": interval(within), "across": across, "runs": len(having)})
    return sorted(rows, key=lambda row: -abs(row["within"]["value"]))


def spearman(x: Floats, y: Floats) -> float:
    """Rank correlation, ties averaged; 0 where one side does not vary."""
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(x), rankdata(y)])
    spread = ranks.std(1)
    if not spread.all():
        return 0.0
    centred = ranks - ranks.mean(1, keepdims=True)
    return float((centred[0] * centred[1]).mean() / spread.prod())


def interval(values: Floats) -> dict[str, float]:
    """Mean over seeds with its percentile bootstrap interval; NaN bounds for one seed."""
    mean = float(values.mean())
    if len(values) < 2:
        return {"value": mean, "low": float("nan"), "high": float("nan")}
    rng = np.random.default_rng(SEED)
    drawn = values[rng.integers(len(values), size=(REPETITIONS, len(values)))].mean(1)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"value": mean, "low": float(low), "high": float(high)}


def _paired(first: Floats, last: Floats) -> float | None:
    """Two-sided paired t-test of the last tasks against the first; None for one seed or where nothing varies."""
    from scipy.stats import ttest_rel

    if len(first) < 2 or np.ptp(last - first) == 0:
        return None
    return float(ttest_rel(last, first).pvalue)
