"""Compare agents over seeds, task by task, with intervals, and say where the seeds are too few for a claim.

Runs are grouped by task and by agent: name, variant, and the settings in which runs of one name differ. Within a task
all scores are read at one environment step, which every seed of every agent has reached: agents are compared only after
equal experience.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from composer.blueprint.forecast.metrics import ranges
from composer.spec.interval import LEAST, LEVEL, UNBOUNDED, Bounds, method
from composer.studies import Refused
from composer.studies.compare.read_runs import SHOWN, Agent, Reading, read_runs, settings
from composer.studies.statistics import (
    Curve,
    Estimate,
    Scores,
    coverage_notes,
    difference,
    least_p_value,
    probability_of_improvement,
)


@dataclass(frozen=True)
class Group:
    """An agent on a task: one curve over all of its seeds."""

    agent: Agent
    task: str
    seeds: tuple[int, ...]
    curve: Curve
    """At the steps that all of its seeds have."""
    runs: tuple[Reading, ...]
    """The runs that are pooled."""


@dataclass(frozen=True)
class Comparison:
    """The curves, and the table that ``--json`` prints."""

    groups: tuple[Group, ...]
    table: Mapping[str, Any]


def compare(
    paths: Sequence[Path], metric: str = "evaluation/return", at: int | None = None, thresholds: Sequence[float] = ()
) -> Comparison:
    """Compare run directories on ``metric`` at environment step ``at``, by default the last that all have reached.

    Raises RunUnusable for a path that is not a run, and Refused where the runs lack the metric or a common step.
    """
    readings = read_runs(paths, metric)
    notes = [note for reading in readings for note in reading.notes]
    groups = gather(readings, notes)
    tasks = sorted({group.task for group in groups})
    if len(tasks) > 1:
        notes.append(
            f"different tasks ({', '.join(tasks)}): agents are compared within each task, and over all if they ran all"
        )
    tables: list[dict[str, Any]] = []
    scores: dict[tuple[Agent, str], NDArray[np.float64]] = {}
    for task in tasks:
        here = [group for group in groups if group.task == task]
        step, first = common_step(task, here, at, notes)
        cut = {group.agent: _until(group.curve, here, step) for group in here}
        scores |= {(group.agent, task): cut[group.agent].values[:, -1] for group in here}
        rows = [_row(group, cut[group.agent], thresholds) for group in here]
        pairs = _pairs({group.agent: Scores.of(scores[group.agent, task], bounds=group.curve.bounds) for group in here})
        tables.append({"task": task, "env_step": step, "area_from": first, "agents": rows, "pairs": pairs})
    over = _over_tasks(scores, {group.task: group.curve.bounds for group in groups}, notes)
    _warn_few(groups, tables, notes)
    table = {
        "metric": metric,
        "interval": {"level": LEVEL, "method": method()},
        "tasks": tables,
        "all_tasks": over,
        "notes": notes,
    }
    return Comparison(tuple(groups), table)


def gather(readings: Sequence[Reading], notes: list[str]) -> list[Group]:
    """Pool the runs of each agent on each task in one curve; ``notes`` gets what was left out or does not match."""
    by_key: dict[tuple[Agent, str], list[Reading]] = {}
    for reading in readings:
        by_key.setdefault((reading.agent, reading.task), []).append(reading)
    return [_group(agent, task, members, notes) for (agent, task), members in by_key.items()]


def _group(agent: Agent, task: str, members: Sequence[Reading], notes: list[str]) -> Group:
    points: dict[int, Mapping[int, float]] = {}
    for reading in members:
        run, differing = reading.path.name, _differing(members[0], reading)
        if differing:
            notes.append(f"{members[0].path.name} and {run} are pooled as {agent}, but differ in {differing}")
        for seed, values in reading.points.items():
            if seed in points:
                notes.append(f"seed {seed} of {agent} on {task} occurs twice; the one in {run} is left out")
            elif not all(map(math.isfinite, values.values())):
                notes.append(f"seed {seed} in {run} is not finite and is left out: the numbers flatter {agent}")
            else:
                points[seed] = values
    if not points:
        raise Refused(f"no seed of {agent} on {task} stayed finite")
    steps = _shared(points.values())
    if not steps:
        raise Refused(f"the seeds of {agent} on {task} have no environment step in common")
    curve = np.array([[points[seed][step] for step in steps] for seed in points], np.float64)
    bounds = ranges(members[0].blueprint).get(members[0].metric, UNBOUNDED)
    return Group(agent, task, tuple(points), Curve(np.array(steps, np.int64), curve, bounds), tuple(members))


def common_step(task: str, groups: Sequence[Group], at: int | None, notes: list[str]) -> tuple[int, int]:
    """The step of the comparison, and the first of the common steps; raises Refused."""
    steps = _shared([group.curve.steps.tolist() for group in groups])
    within = [step for step in steps if at is None or step <= at]
    if not within:
        have = "; ".join(f"{g.agent}: {g.curve.steps[0]:,} to {g.curve.steps[-1]:,}" for g in groups)
        limit = "" if at is None else f" up to {at:,}"
        raise Refused(f"the agents on {task} have no environment step in common{limit} ({have})")
    if at is not None and within[-1] != at:
        notes.append(f"{task}: not every seed has a point at environment step {at:,}; all have one at {within[-1]:,}")
    if at is None and any(group.curve.steps[-1] != within[-1] for group in groups):
        notes.append(f"{task}: agents reached different steps; all are compared at environment step {within[-1]:,}")
    return within[-1], within[0]


def _until(curve: Curve, groups: Sequence[Group], step: int) -> Curve:
    shared = _shared([group.curve.steps.tolist() for group in groups])
    chosen = np.isin(curve.steps, [s for s in shared if s <= step])
    return curve.only(chosen)


def _shared(each: Iterable[Iterable[int]]) -> list[int]:
    """The steps that all have, in order."""
    return sorted(set.intersection(*(set(steps) for steps in each)))


def _differing(left: Reading, right: Reading) -> str:
    """The first settings in which two runs differ, as text; empty where they agree."""
    ours, theirs = settings(left.blueprint), settings(right.blueprint)
    keys = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    shown = [f"{key} ({ours.get(key, 'absent')} and {theirs.get(key, 'absent')})" for key in keys[:SHOWN]]
    return ", ".join(shown) + (f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else "")


def _row(group: Group, curve: Curve, thresholds: Sequence[float]) -> dict[str, Any]:
    last, area = curve.values[:, -1], curve.area()
    final = Scores.of(last, bounds=curve.bounds)
    return {
        "agent": str(group.agent),
        "name": group.agent.name,
        "variant": group.agent.variant,
        "seeds": list(group.seeds),
        "final": {
            "by_seed": last.tolist(),
            "mean": final.summary(),
            "iqm": final.iqm().as_dict(),
        },
        "area": {"by_seed": area.tolist(), "mean": Scores.of(area, bounds=curve.bounds).summary()},
        "thresholds": [_reach(curve, threshold) for threshold in thresholds],
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


def _pairs(scores: Mapping[Agent, Scores]) -> list[dict[str, Any]]:
    found = []
    for (ours, x), (theirs, y) in combinations(scores.items(), 2):
        gap, least = difference(x, y), least_p_value(x, y)
        found.append(
            {
                "left": str(ours),
                "right": str(theirs),
                "difference": gap.as_dict(),
                "probability_of_improvement": probability_of_improvement(x, y).as_dict(),
                "least_p_value": least,
                "verdict": verdict(str(ours), str(theirs), gap, least, x.seeds, y.seeds),
            }
        )
    return found


def verdict(ours: str, theirs: str, gap: Estimate, least: float, left: Sequence[int], right: Sequence[int]) -> str:
    """What a difference with its interval shows; with too few seeds, that it shows nothing."""
    if least > 1 - LEVEL:
        against = " and ".join(f"{n} against {m}" for n, m in zip(left, right, strict=True))
        return (
            f"too few seeds for any claim: {against} cannot give p < {1 - LEVEL:.2f} even if they separate completely"
        )
    if math.isnan(gap.low):
        return f"no interval from fewer than {LEAST} seeds, and so no claim"
    if gap.low > 0 or gap.high < 0:
        higher, lower = (ours, theirs) if gap.low > 0 else (theirs, ours)
        return f"{higher} scores higher than {lower}"
    return "no difference shown"


def _over_tasks(
    scores: Mapping[tuple[Agent, str], Any], tasks: Mapping[str, Bounds], notes: list[str]
) -> dict[str, Any] | None:
    """Comparison over all tasks of the agents that ran every one; None for one task. ``tasks`` with their ranges."""
    if len(tasks) < 2:
        return None
    agents = list(dict.fromkeys(agent for agent, _ in scores))
    bounds = min(low for low, _ in tasks.values()), max(high for _, high in tasks.values())
    complete = {
        a: Scores.of(*(scores[a, task] for task in tasks), bounds=bounds)
        for a in agents
        if all((a, task) in scores for task in tasks)
    }
    missing = [str(agent) for agent in agents if agent not in complete]
    if missing:
        notes.append(f"over all tasks: {', '.join(missing)} did not run every task and is left out")
    rows = [
        {"agent": str(a), "seeds": list(s.seeds), "mean": s.summary(), "iqm": s.iqm().as_dict()}
        for a, s in complete.items()
    ]
    return {"tasks": list(tasks), "agents": rows, "pairs": _pairs(complete)}


def _warn_few(groups: Sequence[Group], tables: Sequence[Mapping[str, Any]], notes: list[str]) -> None:
    fewest = min(len(group.seeds) for group in groups)
    if fewest < LEAST:
        notes.append(f"with fewer than {LEAST} seeds there is no interval: the values of the seeds are shown")
    notes += coverage_notes(fewest, "seeds")
    pairs = sum(len(table["pairs"]) for table in tables)
    if pairs > 1:
        notes.append(f"{pairs} pairs are compared without correction for multiple comparisons")
    for table in tables:
        if len(table["agents"]) == 1:
            notes.append(f"{table['task']}: only one agent, no comparison")
