"""Aggregates over tasks, of normalised scores: mean, IQM, median, optimality gap, profiles, sample efficiency.

Scores that are not normalised are aggregated only where all tasks have the same range; else there is no aggregate.
Tests: tests/studies/test_over_tasks.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from composer.studies.compare.groups import Group
from composer.studies.compare.normalize import Scale
from composer.studies.compare.read_runs import Agent
from composer.studies.compare.verdicts import judge, pairs_of
from composer.studies.profiles import Line, grid, performance_profile, sample_efficiency
from composer.studies.statistics import Scores


def over_tasks(
    groups: Sequence[Group], scales: Mapping[str, Scale], notes: list[str]
) -> tuple[dict[str, Any] | None, tuple[Group, ...]]:
    """Compare over all tasks the agents that ran every one; the curves are those that end at the step of each task.

    Returns the table and the curves that it is made of; None and nothing for one task, and for tasks without a scale.
    """
    tasks = sorted({group.task for group in groups})
    chosen, how = _on_one_scale(groups, scales, notes)
    kept = sorted({group.task for group in chosen})
    if len(tasks) < 2 or len(kept) < 2:
        return None, ()
    by_agent = {agent: [group for group in chosen if group.agent == agent] for agent in _agents(chosen)}
    complete = {agent: mine for agent, mine in by_agent.items() if len(mine) == len(kept)}
    missing = [str(agent) for agent in by_agent if agent not in complete]
    if missing:
        notes.append(f"over all tasks: {', '.join(missing)} did not run every task and is left out")
    scores = {agent: _scores(mine, kept) for agent, mine in complete.items()}
    is_normalized = how != "raw"
    at = grid(list(scores.values())) if scores else np.empty(0)
    rows = [_row(agent, scores[agent], mine, at, is_normalized) for agent, mine in complete.items()]
    pairs = judge(pairs_of(scores, f"over {len(kept)} tasks"), ".3f" if is_normalized else ".1f")
    table = {"tasks": kept, "scores": how, "agents": rows, "pairs": pairs}
    return table, tuple(group for mine in complete.values() for group in mine)


def _agents(groups: Sequence[Group]) -> list[Agent]:
    return list(dict.fromkeys(group.agent for group in groups))


def _on_one_scale(groups: Sequence[Group], scales: Mapping[str, Scale], notes: list[str]) -> tuple[list[Group], str]:
    """The groups whose scores have a common mean, and what these are."""
    tasks = sorted({group.task for group in groups})
    without = [task for task in tasks if task not in scales]
    if not scales and len({group.curve.bounds for group in groups}) == 1 and np.isfinite(groups[0].curve.bounds).all():
        return list(groups), "raw"
    if without and len(tasks) > 1:
        notes.append(
            f"over all tasks: {', '.join(without)} without constants cannot be averaged with other tasks, whose scores"
            " have another scale"
        )
    made = [replace(group, curve=scales[group.task].apply(group.curve)) for group in groups if group.task in scales]
    titles = {scale.source.title if scale.source else "score between 0 and 1" for scale in scales.values()}
    return made, ", ".join(sorted(titles))


def _scores(groups: Sequence[Group], tasks: Sequence[str]) -> Scores:
    """The last scores, in the order of ``tasks``."""
    by_task = {group.task: group.curve for group in groups}
    low, high = zip(*(curve.bounds for curve in by_task.values()), strict=True)
    return Scores.of(*(by_task[task].values[:, -1] for task in tasks), bounds=(min(low), max(high)))


def _row(agent: Agent, scores: Scores, groups: Sequence[Group], at: Any, is_normalized: bool) -> dict[str, Any]:
    areas = Scores.of(*(group.curve.area() for group in groups), bounds=scores.bounds)
    row = {
        "agent": str(agent),
        "seeds": list(scores.seeds),
        "mean": scores.summary(),
        "iqm": scores.iqm().as_dict(),
        "median": scores.median().as_dict(),
        "area": areas.summary(),
        "performance_profile": _line(performance_profile(scores, at)),
        "sample_efficiency": _line(_efficiency(groups)),
    }
    return row | ({"optimality_gap": scores.optimality_gap().as_dict()} if is_normalized else {})


def _efficiency(groups: Sequence[Group]) -> Line | None:
    """Interquartile mean over steps; None where the tasks have no step in common."""
    steps = set.intersection(*(set(group.curve.steps.tolist()) for group in groups))
    return sample_efficiency([group.curve for group in groups]) if steps else None


def _line(line: Line | None) -> dict[str, list[float | None]] | None:
    """For JSON, which has no NaN."""
    if line is None:
        return None
    return {name: [None if np.isnan(x) else float(x) for x in values] for name, values in line._asdict().items()}
