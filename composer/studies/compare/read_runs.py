"""Read a metric by seed from the journals of run directories, without locking or writing anything."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from composer.blueprint import Blueprint
from composer.blueprint.forecast.metrics import WrittenMetric, known_metrics
from composer.interventions.effects import EFFECTS
from composer.spec.wording import suggestion
from composer.studies import Refused
from composer.studies.execution.ledger import runs_in
from composer.studies.study.points import name_of
from composer.tracking.journal import read
from composer.tracking.records import JOURNAL, Ended
from composer.training.runs.directory import holder, read_blueprint, read_facts

ASIDE = ("seeds", "name", "description", "tracking", "compute", "checkpoint")
"""Keys that may differ between runs of one experiment."""
MEASURED = ("training.env_steps", "training.log_every", "evaluation", "diagnostics")
"""Keys of how long is trained and what is measured: they may differ between runs of one agent, which is noted."""
SHOWN = 5
"""So many differing settings of two runs are named."""


class Agent(NamedTuple):
    """A blueprint's name, its variant, and for forks a label of the fork."""

    name: str
    """Of a study's runs, the name of the point."""
    variant: str | None
    fork: str | None = None
    settings: str | None = None
    """The point of a study, and the settings in which it differs from another agent of this name."""

    def __str__(self) -> str:
        agent = f"{self.name}:{self.variant}" if self.variant else self.name
        return " ".join(part for part in (agent, self.fork, self.settings) if part)


@dataclass(frozen=True)
class Reading:
    """One metric of one run, and facts about the run."""

    path: Path
    agent: Agent
    task: str
    blueprint: Blueprint
    metric: str
    points: Mapping[int, Mapping[int, float]]
    """By seed, then by environment step."""
    notes: tuple[str, ...]
    """Warnings about this run."""
    fired: Mapping[str, Mapping[int, Mapping[int, int]]] = field(default_factory=dict)
    """How often each intervention fired, by its name, by seed and by environment step."""
    effects: Mapping[tuple[str, int], Mapping[int, float]] = field(default_factory=dict)
    """Effects measured at firings, by metric and environment step, then by seed."""
    diverged: Mapping[int, int] = field(default_factory=dict)
    """The environment step at which the run ended because of a seed, by that seed."""
    point: Mapping[str, Any] = field(default_factory=dict)
    """The values of a study's axes with which it was trained, by axis; empty where no study trained it."""

    @cached_property
    def firings(self) -> Mapping[str, Mapping[int, int]]:
        """How often each intervention fired, all seeds together, by its name and environment step."""
        return {name: sum(map(Counter, by_seed.values()), Counter[int]()) for name, by_seed in self.fired.items()}


def read_runs(paths: Sequence[Path], metric: str | None) -> list[Reading]:
    """Read every run once, those of a study's folder too; without a ``metric``, that of the first one's evaluation.

    Raises RunUnusable, and Refused where a run lacks ``metric``.
    """
    distinct: dict[Path, tuple[Path, Mapping[str, Any] | None]] = {}
    for path, study in chain.from_iterable(runs_in(path).items() for path in paths):
        distinct.setdefault(path.resolve(), (path, study))
    if metric is None:
        metric = next((read_blueprint(path).environment.metric for path, _ in distinct.values()), "")
    return [read_run(path, metric, study) for path, study in distinct.values()]


def told_apart(readings: Sequence[Reading]) -> list[Reading]:
    """The readings, where those of equal names but different settings are of different agents, named by these."""
    of: dict[Agent, list[Reading]] = {}
    for reading in readings:
        of.setdefault(reading.agent, []).append(reading)
    differing = {agent: _differing_keys(members) for agent, members in of.items()}
    return [_labelled(each, differing[each.agent], is_first=each is of[each.agent][0]) for each in readings]


def _differing_keys(members: Sequence[Reading]) -> list[str]:
    """Settings in which two runs on the same task differ."""
    flat = [(reading.task, settings(reading.blueprint)) for reading in members]
    keys = dict.fromkeys(key for _, each in flat for key in each if not key.startswith(MEASURED))
    values = {key: {(task, each.get(key)) for task, each in flat} for key in keys}
    return [key for key in keys if len(values[key]) > len({task for task, _ in flat})]


def _labelled(reading: Reading, keys: Sequence[str], is_first: bool) -> Reading:
    if not keys:
        return reading
    values = settings(reading.blueprint)
    more = f", and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    whole = sha256(repr([(key, values.get(key)) for key in keys]).encode()).hexdigest()[:4]
    shown = ", ".join(f"{key}={values.get(key, 'absent')}" for key in keys[:SHOWN])
    own = f"({shown}{f' #{whole}' if more else ''})"
    agent = reading.agent._replace(settings=" ".join(filter(None, (reading.agent.settings, own))))
    names = f"{', '.join(keys[:SHOWN])}{more}"
    note = f"runs called {reading.agent} differ in {names}: they are compared as different agents"
    return replace(reading, agent=agent, notes=(note, *reading.notes) if is_first else reading.notes)


def read_run(path: Path, metric: str, study: Mapping[str, Any] | None = None) -> Reading:
    """The points of ``metric`` in a run directory's journal; raises RunUnusable and Refused.

    ``study`` is what a study's ledger says of the run, which may have been trained before the study or by another one.
    """
    facts = read_facts(path)
    points: dict[int, dict[int, float]] = {seed: {} for seed in facts["seeds"]}
    known: set[str] = set()
    fired: dict[str, dict[int, Counter[int]]] = {}
    effects: dict[tuple[str, int], dict[int, float]] = {}
    diverged: dict[int, int] = {}
    reader = read(path / JOURNAL)
    last: int = 0
    for row in reader:
        last = row.get("env_step", last)
        if row["type"] == "event" and row["seed"] in points:
            fired.setdefault(row["name"], {}).setdefault(row["seed"], Counter())[last] += row.get("firings", 1)
        if row["type"] == "event" and row["name"] == "diverged":
            diverged = {seed: last for seed in _blamed(row["reason"], facts["seeds"])}
        if row["type"] != "metrics" or row["seed"] not in points:
            continue
        diverged.pop(row["seed"], None)  # It was resumed, with settings under which it goes on.
        known |= row["metrics"].keys()
        for name in row["metrics"]:
            if name.startswith(f"{EFFECTS}/"):
                effects.setdefault((name, last), {})[row["seed"]] = row["metrics"][name]
        if metric in row["metrics"]:
            points[row["seed"]][row["env_step"]] = row["metrics"][metric]
    blueprint = read_blueprint(path)
    if not all(points.values()):
        declared = {each.metric.name: each for each in known_metrics(blueprint) if each.where == "journal"}
        if not diverged or metric not in declared:
            raise Refused(f"{path} {_lacks(metric, known, declared)}")
    study = facts.get("study") if study is None else study
    point = {} if study is None else study.get("point", {})
    agent = Agent(facts["name"], facts["variant"], fork_label(facts.get("fork")), _point(study))
    notes = (*_parting(path, facts), *_notes(path, reader.problem, last, blueprint))
    own = {name: by_seed for name, by_seed in fired.items() if name in blueprint.interventions}
    return Reading(path, agent, facts["task"], blueprint, metric, points, notes, own, effects, diverged, point)


def _blamed(reason: str, seeds: Sequence[int]) -> list[int]:
    """The seed that made its run diverge, as the journal's reason names it; all seeds where it names none."""
    found = re.search(r" of seed (\d+)\b", reason)
    return [int(found[1])] if found and int(found[1]) in seeds else list(seeds)


def _point(study: Mapping[str, Any] | None) -> str | None:
    """The values of a study's axes with which a run was trained, where a study trained it."""
    label = "" if study is None else study.get("label") or name_of(study.get("point", {}))
    return f"({label})" if label else None


def fork_label(fork: Mapping[str, Any] | None) -> str | None:
    """A short label of a fork: its step and its changes; equal labels mean equal changes."""
    if fork is None:
        return None
    changes = {key: value for key, value in fork["changes"].items() if not key.startswith(ASIDE)}
    tables: dict[str, list[str]] = {}
    for key in changes:
        tables.setdefault(".".join(key.split(".")[:2]), []).append(key)
    shown = [_changed(table, {key: changes[key] for key in keys}) for table, keys in tables.items()]
    branch = f"branch {fork['branch']}" if fork["branch"] else ""
    changed = ", ".join(part for part in (*shown, branch) if part)
    return f"fork@{fork['env_step']:,}" + (f"({changed})" if changed else "")


def _changed(table: str, changes: Mapping[str, Any]) -> str:
    """A changed key with its value; a table by its name, with a hash of its keys; what is removed with a tilde."""
    is_removed = all(value is None for value in changes.values())
    if len(changes) == 1:
        ((key, value),) = changes.items()
        return f"~{key}" if is_removed else f"{key}={value}"
    return f"~{table}" if is_removed else f"{table}#{sha256(repr([*changes.items()]).encode()).hexdigest()[:4]}"


def _parting(path: Path, facts: Mapping[str, Any]) -> Iterator[str]:
    if "fork" in facts:
        fork = facts["fork"]
        yield (f"{path.name} is a fork of {fork['from']}: its journal begins at environment step {fork['env_step']:,}")


def _lacks(metric: str, known: set[str], declared: Mapping[str, WrittenMetric]) -> str:
    """``known`` are the metrics of its journal, ``declared`` those that its blueprint writes."""
    if metric in known:
        return f"has {metric!r} for some of its seeds only"
    if metric in declared:
        each = declared[metric]
        when = f", {each.metric.condition}" if each.metric.condition else ""
        return (
            f"has not written {metric!r} yet: it is written every {each.every:,} environment steps ({each.key}){when}"
        )
    names = sorted(known or declared)
    return f"has no metric {metric!r}{suggestion(metric, names)}; it has {', '.join(names)}"


def _notes(path: Path, problem: str | None, last: int, blueprint: Blueprint) -> Iterator[str]:
    ended = Ended.load(path)
    total = blueprint.training.env_steps
    # Only tracked runs record how they ended; every finished run has a row at its last step.
    if (last < total) if ended is None else (ended.status != "FINISHED"):
        how = _how_it_is(path) if ended is None else f"ended as {ended.status}"
        yield f"{path.name} is not finished: it {how} at environment step {last:,} of {total:,}"
    # The last line of a journal that is being written may be torn: that is not damage.
    if problem is not None and (ended is not None or "torn" not in problem):
        yield f"{path.name}: its journal is damaged ({problem}) and was read only up to there"


def _how_it_is(path: Path) -> str:
    process, is_alive = holder(path)
    if process:
        return f"is running in process {process}" if is_alive else f"ended without a word, in process {process},"
    return "is running, or was killed"


def settings(blueprint: Blueprint) -> dict[str, Any]:
    """Settings that runs of one experiment share: all except seeds, bookkeeping and compute."""
    from composer.blueprint import flatten

    return {key: value for key, value in flatten(blueprint).items() if not key.startswith(ASIDE)}
