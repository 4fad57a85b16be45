"""Pool the runs of each agent on each task in one curve over its seeds.

A seed that diverged counts, as a failure: from the step at which it diverged it has the lowest score of its task. To
leave it out would flatter its agent. Tests: tests/studies/test_compare.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from composer.blueprint.forecast.metrics import ranges
from composer.spec.interval import UNBOUNDED
from composer.studies import Refused
from composer.studies.compare.read_runs import SHOWN, Agent, Reading, settings
from composer.studies.compare.references import chosen_constants
from composer.studies.statistics import Curve

HIGHER_IS_BETTER = ("evaluation/", "training/return")
"""Metrics of which the lowest value is the worst one: a seed that diverged can be counted."""


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
    diverged: tuple[int, ...] = ()
    """Seeds that count as failures."""


class Worst(NamedTuple):
    """The score of a failure on a task, and what it is."""

    score: float
    words: str


def gather(readings: Sequence[Reading], notes: list[str]) -> list[Group]:
    """Pool the runs of each agent on each task in one curve; ``notes`` gets what was left out or does not match."""
    by_key: dict[tuple[Agent, str], list[Reading]] = {}
    for reading in readings:
        by_key.setdefault((reading.agent, reading.task), []).append(reading)
    return [_group(agent, task, members, readings, notes) for (agent, task), members in by_key.items()]


def _group(agent: Agent, task: str, members: Sequence[Reading], everyone: Sequence[Reading], notes: list[str]) -> Group:
    points: dict[int, Mapping[int, float]] = {}
    failed: dict[int, tuple[int, Reading]] = {}
    # A seed that was cut short because another one diverged may have been trained again by itself.
    for reading in sorted(members, key=lambda each: bool(each.diverged)):
        run, differing = reading.path.name, _differing(members[0], reading)
        if differing:
            notes.append(f"{members[0].path.name} and {run} are pooled as {agent}, but differ in {differing}")
        for seed, values in reading.points.items():
            if seed in points:
                notes.append(f"seed {seed} of {agent} on {task} occurs twice; the one in {run} is left out")
                continue
            step = _diverged_at(reading, seed)
            if step is not None and reading.metric.startswith(HIGHER_IS_BETTER):
                failed[seed] = step, reading
            elif step is not None or not values:
                why = "has no value before its run ended" if step is None else "diverged"
                notes.append(f"seed {seed} in {run} {why} and is left out: the numbers flatter {agent}")
                continue
            points[seed] = values
    if not points:
        raise Refused(f"no seed of {agent} on {task} stayed finite")
    points = _with_failures(points, failed, _on(task, everyone), f"{agent} on {task}", notes)
    steps = shared(points.values())
    if not steps:
        raise Refused(f"the seeds of {agent} on {task} have no environment step in common")
    curve = np.array([[points[seed][step] for step in steps] for seed in points], np.float64)
    bounds = ranges(members[0].blueprint).get(members[0].metric, UNBOUNDED)
    return Group(
        agent, task, tuple(points), Curve(np.array(steps, np.int64), curve, bounds), tuple(members), tuple(failed)
    )


def _on(task: str, readings: Sequence[Reading]) -> list[Reading]:
    return [reading for reading in readings if reading.task == task]


def _diverged_at(reading: Reading, seed: int) -> int | None:
    """The step at which a seed diverged: recorded as an event, or that of its first value that is not finite."""
    bad = [step for step, value in reading.points[seed].items() if not math.isfinite(value)]
    return min([*bad, *([reading.diverged[seed]] if seed in reading.diverged else ())], default=None)


def _with_failures(
    points: Mapping[int, Mapping[int, float]],
    failed: Mapping[int, tuple[int, Reading]],
    readings: Sequence[Reading],
    whose: str,
    notes: list[str],
) -> dict[int, Mapping[int, float]]:
    """The points, where seeds that diverged have the worst score at all later steps that any run of the task has."""
    if not failed:
        return dict(points)
    worst = _worst(readings)
    grid = sorted({step for reading in readings for values in reading.points.values() for step in values})
    reached = [grid, *(values for seed, values in points.items() if seed not in failed)]
    last = max(shared(reached), default=0)
    found = dict(points)
    for seed, (step, reading) in failed.items():
        # The step of the comparison comes before the divergence where all others end there: it must not hide it.
        start = min(step, last)
        before = {each: value for each, value in points[seed].items() if each < start}
        found[seed] = before | {each: worst.score for each in grid if each >= start}
        alone = [str(other) for other in reading.points if other not in reading.diverged]
        others = f"; seeds {', '.join(alone)} of its run ended with it" if alone and reading.diverged else ""
        notes.append(
            f"seed {seed} of {whose} diverged at environment step {step:,} ({reading.path.name}) and counts from there"
            f" as {worst.score:g}, {worst.words}{others}"
        )
    return found


def _worst(readings: Sequence[Reading]) -> Worst:
    """The lowest score of the metric; else that of a random agent; else the lowest one that was seen."""
    first = readings[0]
    low, _ = ranges(first.blueprint).get(first.metric, UNBOUNDED)
    if math.isfinite(low):
        return Worst(low, "the lowest score that is possible")
    for table in chosen_constants("auto"):
        if pair := table.of(first.blueprint.environment.kind, first.task, first.metric):
            return Worst(pair[0], f"which counts as 0 in {table.name}")
    seen = [value for reading in readings for values in reading.points.values() for value in values.values()]
    return Worst(min(filter(math.isfinite, seen), default=0.0), "the lowest score that any seed had on this task")


def common_step(task: str, groups: Sequence[Group], at: int | None, notes: list[str]) -> tuple[int, int]:
    """The step of the comparison, and the first of the common steps; raises Refused."""
    steps = shared([group.curve.steps.tolist() for group in groups])
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


def until(curve: Curve, groups: Sequence[Group], step: int) -> Curve:
    """The curve at the steps that all groups have, up to ``step``."""
    steps = shared([group.curve.steps.tolist() for group in groups])
    return curve.only(np.isin(curve.steps, [each for each in steps if each <= step]))


def shared(each: Iterable[Iterable[int]]) -> list[int]:
    """The steps that all have, in order."""
    return sorted(set.intersection(*(set(steps) for steps in each)))


def _differing(left: Reading, right: Reading) -> str:
    """The first settings in which two runs differ, as text; empty where they agree."""
    ours, theirs = settings(left.blueprint), settings(right.blueprint)
    keys = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    shown = [f"{key} ({ours.get(key, 'absent')} and {theirs.get(key, 'absent')})" for key in keys[:SHOWN]]
    return ", ".join(shown) + (f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else "")
