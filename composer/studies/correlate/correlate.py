"""Correlate every pair of metrics: over time within runs, over seeds, or over variants.

Points that are correlated with each other come from one sample: a seed's history, the seeds of an agent on a task, the
agents on a task. Samples are never pooled, because tasks and agents differ in scale; their correlations are averaged.
Legend: S samples, M metrics, n points of a sample. Tests: tests/studies/test_correlate.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np

from composer.spec.interval import LEVEL, method
from composer.spec.wording import suggestion
from composer.studies import Refused
from composer.studies.compare.read_runs import Agent, Reading, fork_label, told_apart
from composer.studies.correlate.ranks import LEAST_POINTS, clustered, pairwise
from composer.studies.statistics import Floats, Scores
from composer.tracking.records import JOURNAL
from composer.training.runs.directory import read_blueprint, read_facts
from composer.training.runs.results import Series, read_metrics

POINTS: Final[Mapping[str, str]] = {"time": "environment steps", "seeds": "seeds", "variants": "agents"}
SAMPLES: Final[Mapping[str, str]] = {"time": "seeds", "seeds": "agents and tasks", "variants": "tasks"}
"""What a sample's points are, and what the samples are."""
CORRELATION: Final = (-1.0, 1.0)


@dataclass(frozen=True)
class RunMetrics:
    """Every metric of a run."""

    agent: Agent
    task: str
    seeds: tuple[int, ...]
    metrics: Mapping[str, Series]


def correlate(
    paths: Sequence[Path], over: str = "time", differences: bool = False, globs: Sequence[str] = ()
) -> dict[str, Any]:
    """The table that ``composer correlate --json`` prints; raises RunUnusable and Refused."""
    if over not in POINTS:
        raise Refused(f"--over is {', '.join(POINTS)}, got {over!r}{suggestion(over, POINTS)}")
    if differences and over != "time":
        raise Refused(f"--differences are changes over time: they do not go with --over {over}")
    runs = _read(paths)
    names = _chosen(runs, globs)
    samples = list(_SAMPLES[over](runs, names))
    most = max(sample.shape[1] for sample in samples)
    if most < LEAST_POINTS:
        raise Refused(
            f"no correlation over {over}: there are at most {most} {POINTS[over]}, and it needs {LEAST_POINTS}"
        )
    each = [pairwise(sample, differences) for sample in samples]
    correlations, points = np.stack([found for found, _ in each]), np.stack([count for _, count in each])
    return _table(names, correlations, points, over, differences)


def _read(paths: Sequence[Path]) -> list[RunMetrics]:
    readings = []
    for path in {path.resolve(): path for path in reversed(paths)}.values():
        facts = read_facts(path)
        agent = Agent(facts["name"], facts["variant"], fork_label(facts.get("fork")))
        readings.append(Reading(path, agent, facts["task"], read_blueprint(path), "", {}, ()))
    return [
        RunMetrics(
            run.agent, run.task, tuple(run.blueprint.seeds), read_metrics(run.path / JOURNAL, run.blueprint.seeds)
        )
        for run in told_apart(readings[::-1])
    ]


def _chosen(runs: Sequence[RunMetrics], globs: Sequence[str]) -> list[str]:
    """The metrics that match one of ``globs``, or all; in the order of their names."""
    known = sorted({name for run in runs for name in run.metrics})
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in known):
            raise Refused(f"no metric matches {glob!r}{suggestion(glob, known)}; there are {', '.join(known)}")
    chosen = [name for name in known if not globs or any(fnmatchcase(name, glob) for glob in globs)]
    if len(chosen) < 2:
        raise Refused(f"a correlation needs two metrics, got {', '.join(chosen) or 'none'}")
    return chosen


def _over_time(runs: Sequence[RunMetrics], names: Sequence[str]) -> Iterator[Floats]:
    """``[M, T]`` of each seed of each run; NaN at steps at which a metric was not written."""
    for run in runs:
        steps = sorted({int(step) for name in names if name in run.metrics for step in run.metrics[name].env_steps})
        values = np.full((len(run.seeds), len(names), len(steps)), np.nan)
        for number, name in enumerate(names):
            if name in run.metrics:
                series = run.metrics[name]
                values[:, number, np.searchsorted(steps, series.env_steps)] = series.values
        yield from values


def _over_seeds(runs: Sequence[RunMetrics], names: Sequence[str]) -> Iterator[Floats]:
    """``[M, n]`` of each agent on each task: the last value of every seed."""
    groups: dict[tuple[Agent, str], dict[int, Floats]] = {}
    for run in runs:
        last = np.stack([_last(run, name) for name in names])
        seeds = groups.setdefault((run.agent, run.task), {})
        for index, seed in enumerate(run.seeds):
            seeds.setdefault(seed, last[:, index])
    for seeds in groups.values():
        yield np.stack(list(seeds.values()), axis=1)


def _over_variants(runs: Sequence[RunMetrics], names: Sequence[str]) -> Iterator[Floats]:
    """``[M, n]`` of each task: the mean over seeds of the last values of every agent."""
    tasks: dict[str, list[Floats]] = {}
    for (_, task), values in _by_group(runs, names).items():
        tasks.setdefault(task, []).append(values.mean(1))
    for means in tasks.values():
        yield np.stack(means, axis=1)


def _by_group(runs: Sequence[RunMetrics], names: Sequence[str]) -> dict[tuple[Agent, str], Floats]:
    keys = dict.fromkeys((run.agent, run.task) for run in runs)
    return dict(zip(keys, _over_seeds(runs, names), strict=True))


def _last(run: RunMetrics, name: str) -> Floats:
    """The last value of a metric that all seeds have, by seed; NaN where there is none."""
    if name not in run.metrics:
        return np.full(len(run.seeds), np.nan)
    values = run.metrics[name].values
    complete = np.flatnonzero(np.isfinite(values).all(0))
    last: Floats = values[:, complete[-1] if len(complete) else -1]
    return last


_SAMPLES: Final = {"time": _over_time, "seeds": _over_seeds, "variants": _over_variants}


def _table(names: Sequence[str], found: Floats, points: Any, over: str, differences: bool) -> dict[str, Any]:
    """``found`` and ``points``: ``[S, M, M]``."""
    usable = [number for number in range(len(names)) if np.isfinite(np.delete(found[:, number], number, axis=1)).any()]
    left_out = [name for number, name in enumerate(names) if number not in usable]
    if len(usable) < 2:
        raise Refused(f"no two of these metrics vary together at {LEAST_POINTS} {POINTS[over]}: {', '.join(names)}")
    found, points = found[:, usable][:, :, usable], points[:, usable][:, :, usable]
    # A pair that no sample has is absent; the mean of the others is over the samples that have it.
    present = np.isfinite(found)
    mean = np.where(present.any(0), np.nan_to_num(found).sum(0) / np.maximum(present.sum(0), 1), np.nan)
    order = clustered(mean)
    chosen = [names[usable[number]] for number in order]
    pairs = [
        _pair(names[usable[i]], names[usable[j]], found[:, i, j], points[:, i, j])
        for i, j in combinations(order, 2)
        if present[:, i, j].any()
    ]
    return {
        "over": over,
        "differences": differences,
        "points": POINTS[over],
        "samples": SAMPLES[over],
        "interval": {"level": LEVEL, "method": method(SAMPLES[over])},
        "metrics": chosen,
        "left_out": left_out,
        "pairs": sorted(pairs, key=lambda pair: -abs(pair["correlation"]["value"])),
        "notes": _notes(over, differences, left_out, len(pairs)),
    }


def _pair(left: str, right: str, found: Floats, points: Any) -> dict[str, Any]:
    present = np.isfinite(found)
    own = points[present]
    return {
        "left": left,
        "right": right,
        "correlation": Scores.of(found[present], bounds=CORRELATION).mean().as_dict(),
        "samples": int(present.sum()),
        "points": [int(own.min()), int(own.max())],
    }


def _notes(over: str, differences: bool, left_out: Sequence[str], pairs: int) -> list[str]:
    notes = [f"{pairs} pairs are shown without correction for multiple comparisons"] if pairs > 1 else []
    if over == "time" and not differences:
        notes.append(
            "metrics that rise or fall all along a run correlate by that alone; --differences correlates their changes"
        )
    if left_out:
        why = f"constant, or at fewer than {LEAST_POINTS} common {POINTS[over]}"
        notes.append(f"left out ({why}): {', '.join(left_out)}")
    return notes
