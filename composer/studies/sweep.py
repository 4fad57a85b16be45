"""``composer sweep``: train a blueprint and its variants in processes, a few at a time.

Runs that the runs directory already has finished, under the same settings, are not repeated, and half-trained ones are
resumed: a sweep that was stopped, or killed, continues. A failure does not stop the other runs.
Tests: tests/studies/test_sweep.py.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from composer.blueprint import Blueprint, BlueprintError, Problem, digest, load
from composer.blueprint.checks.check import warnings_in
from composer.blueprint.forecast.memory import available_bytes, forecast
from composer.blueprint.forecast.one_program import joined, obstacle, program_groups
from composer.blueprint.syntax.variants import BASE
from composer.spec.errors import ComposerError
from composer.studies import Refused
from composer.studies.sweep_processes import Processes, raising_on_signals
from composer.training.runs.checkpoint import Checkpoints
from composer.training.runs.directory import read_blueprint, read_facts


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep."""

    name: str
    variant: str | None
    blueprint: Blueprint

    @property
    def digest(self) -> str:
        """The digest of the settings, which leaves names out."""
        return digest(self.blueprint)


def sweep(
    blueprint: Path,
    overrides: Sequence[str],
    variants: Sequence[str],
    runs: Path,
    jobs: int,
    say: Callable[[str], None],
    together: int = 1,
) -> dict[str, Any]:
    """Train what is not finished yet; returns one row per variant. Raises BlueprintError, Refused and SweepStopped.

    Up to ``together`` variants share a process and a program, where they differ in numbers only.
    """
    planned = planned_runs(blueprint, overrides, variants)
    for line in dict.fromkeys(found.as_warning() for each in planned for found in warnings_in(each.blueprint)):
        say(line)
    done = {each.name: found for each in planned if (found := finished(runs, each))}
    for name, run in done.items():
        say(f"{name}: finished before, in {run}")
    waiting = {each.name: each for each in planned if each.name not in done}
    begun = {name: path for name, each in waiting.items() if (path := half_trained(runs, each))}
    anew = {name: each.blueprint for name, each in waiting.items() if name not in begun}
    groups = [*([name] for name in begun), *program_groups(anew, together)]
    running = Processes(say)

    def train(group: Sequence[str]) -> list[dict[str, Any]]:
        command = ["train", str(blueprint), *overrides, "--runs", str(runs), *_chosen(group, waiting)]
        return running.train(group, command, begun.get(group[0]))

    with ThreadPoolExecutor(jobs) as pool, raising_on_signals():
        try:
            ends = list(pool.map(train, groups))
        except BaseException:
            running.stop()
            raise
    rows = {row["variant"]: row for group in ends for row in group}
    before = {"status": "finished", "exit_code": 0}
    rows |= {name: {"variant": name, "run": str(run), **before} for name, run in done.items()}
    table = [rows[each.name] for each in planned]
    return {"runs": table, "failed": sum(bool(row["exit_code"]) for row in table)}


def _chosen(group: Sequence[str], runs: Mapping[str, SweepRun]) -> list[str]:
    """The options of ``composer train`` that choose the variants of a group."""
    if len(group) > 1:
        return ["--together", ",".join(group)]
    variant = runs[group[0]].variant
    return [] if variant is None else ["--variant", variant]


def text(table: dict[str, Any]) -> str:
    """A line per run, and the command that compares them."""
    width = max(len(row["variant"]) for row in table["runs"])
    lines = [f"{row['variant']:{width}}  {row['status']:11}  {row['run'] or row['message']}" for row in table["runs"]]
    sound = [row["run"] for row in table["runs"] if row["run"] and not row["exit_code"]]
    if len(sound) > 1:
        lines.append(f"compare them: composer compare {shlex.join(sound)}")
    if table["failed"]:
        lines.append(f"{table['failed']} failed; the same command again runs only those")
    return "\n".join(lines)


def for_one_program(blueprint: Path, overrides: Sequence[str], variants: Sequence[str]) -> dict[str | None, Blueprint]:
    """Blueprints of the variants, which are trained in one program. Refused where one cannot, or memory is short."""
    planned = planned_runs(blueprint, overrides, variants)
    if len(planned) < 2 or len({each.name for each in planned}) < len(planned):
        raise Refused("--together takes two or more variants, each once")
    for other in planned[1:]:
        if why := obstacle(planned[0].blueprint, other.blueprint):
            raise Refused(f"{planned[0].name!r} and {other.name!r} cannot be trained in one program: {why}")
    needs, available = forecast(joined([each.blueprint for each in planned])).total, available_bytes()
    if needs > available:
        raise Refused(f"{len(planned)} variants together need {needs:.1e} bytes; available {available:.1e}")
    return {each.variant: each.blueprint for each in planned}


def finished(runs: Path, planned: SweepRun) -> Path | None:
    """The newest finished run of the same settings and variant in ``runs``, if there is one; forks do not count."""
    for path, checkpoints in _runs_of(runs, planned):
        if checkpoints.are_complete(planned.blueprint.training.env_steps):
            return path
    return None


def half_trained(runs: Path, planned: SweepRun) -> Path | None:
    """The newest run of the same settings and variant that has a checkpoint and can be resumed, if there is one.

    A run that was trained beside others, in one program, cannot be resumed exactly.
    """
    for path, checkpoints in _runs_of(runs, planned):
        if checkpoints.steps() and "beside" not in read_facts(path):
            return path
    return None


def _runs_of(runs: Path, planned: SweepRun) -> Iterator[tuple[Path, Checkpoints]]:
    """The runs of the same settings and variant, the newest first, without forks."""
    for path in sorted(runs.glob("*/run.json"), reverse=True):
        try:
            facts, blueprint = read_facts(path.parent), read_blueprint(path.parent)
        except ComposerError:
            continue
        if "fork" not in facts and facts["variant"] == planned.variant and digest(blueprint) == planned.digest:
            yield path.parent, Checkpoints(path.parent)


def planned_runs(
    blueprint: Path, overrides: Sequence[str], variants: Sequence[str], *, is_to_run: bool = True
) -> list[SweepRun]:
    """The blueprint and its variants, or only the named combinations. Raises BlueprintError for all that are wrong.

    Only with ``is_to_run`` is the module of an environment imported.
    """
    planned: list[SweepRun] = []
    problems: list[Problem] = []
    for name in variants or (BASE, *load(blueprint, overrides, is_to_run=is_to_run).variants):
        variant = None if name == BASE else name
        try:
            found = load(blueprint, overrides, variant, is_to_run=is_to_run).blueprint
            planned.append(SweepRun(name, variant, found))
        except BlueprintError as error:
            problems += error.problems
    if problems:
        raise BlueprintError(problems)
    return planned
