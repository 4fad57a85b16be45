"""``composer sweep``: train a blueprint and its variants in processes, a few at a time.

Runs that the runs directory already has finished, under the same settings, are not repeated, and half-trained ones are
resumed: a sweep that was stopped, or killed, continues. A failure does not stop the other runs.
Tests: tests/studies/test_sweep.py.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from composer.blueprint import Blueprint, BlueprintError, Problem, digest, load
from composer.blueprint.checks.check import warnings_in
from composer.blueprint.forecast.memory import available_bytes, forecast
from composer.blueprint.forecast.one_program import joined, obstacle, program_groups
from composer.blueprint.syntax.variants import BASE
from composer.spec.quantities import columns
from composer.studies import Refused
from composer.studies.execution.directories import RunDirectories, chosen
from composer.studies.execution.engine import Outcome, Unit, train_all
from composer.studies.execution.results import heading, result_text
from composer.studies.execution.study_run import last_values
from composer.studies.study.points import Point, StudyRun
from composer.training.assemble import NewRun
from composer.training.runs.provenance import libraries


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
    """Train what is not finished yet; returns one row per variant. Raises BlueprintError, Refused, StudyStopped.

    Up to ``together`` variants share a process and a program, where they differ in numbers only.
    """
    planned = planned_runs(blueprint, overrides, variants)
    for line in dict.fromkeys(found.as_warning() for each in planned for found in warnings_in(each.blueprint)):
        say(line)
    point = Point(str(blueprint), {}, tuple(overrides))
    members = [_study_run(each, point) for each in planned]
    names = {run.arguments: each.name for run, each in zip(members, planned, strict=True)}

    def group(waiting: Sequence[StudyRun]) -> list[Unit]:
        by_name = {names[run.arguments]: run for run in waiting}
        groups = program_groups({name: run.blueprint for name, run in by_name.items()}, together)
        return [_unit([by_name[name] for name in each], each) for each in groups]

    folder = runs.parent / "studies" / _folder_name(planned)
    outcomes = train_all(members, folder, runs, say, jobs, group=group, title=lambda run: names[run.arguments])
    table = [_row(each.name, outcome) for each, outcome in zip(planned, outcomes, strict=True)]
    return {"runs": table, "failed": sum(bool(row["exit_code"]) for row in table)}


def _study_run(run: SweepRun, point: Point) -> StudyRun:
    """A variant as the engine takes it: a point without axes, whose name is not recorded in its run."""
    choice = () if run.variant is None else ("--variant", run.variant)
    arguments = (point.blueprint, *point.overrides, *choice)
    return StudyRun(point, run.blueprint.environment.title, run.blueprint, arguments)


def _unit(runs: Sequence[StudyRun], names: Sequence[str]) -> Unit:
    """One process for ``runs``."""
    first, *others = runs
    if not others:
        return Unit((first,), first.arguments)
    return Unit(tuple(runs), (first.point.blueprint, *first.point.overrides, "--together", ",".join(names)))


def _folder_name(planned: Sequence[SweepRun]) -> str:
    """The folder of a sweep's ledger: another one for each blueprint, overrides and choice of variants."""
    whole = sha256(" ".join(each.digest for each in planned).encode()).hexdigest()[:8]
    return f"sweep-{planned[0].blueprint.name}-{whole}"


def _row(name: str, outcome: Outcome) -> dict[str, Any]:
    """A row of the table: what has diverged counts as failed."""
    more = {key: outcome.answer[key] for key in ("final_return", "seconds", "message") if key in outcome.answer}
    metric = outcome.run.blueprint.environment.evaluation_metric()
    more |= {"metric": metric.name, "result": result_text(last_values(outcome), metric)}
    status = "failed" if outcome.status == "diverged" else outcome.status
    run = None if outcome.directory is None else str(outcome.directory)
    if outcome.message:
        more["message"] = outcome.message
    return {"variant": name, "run": run, "status": status, "exit_code": outcome.exit_code, **more}


def text(table: dict[str, Any]) -> str:
    """A line per run, and the command that compares them."""
    rows = [("variant", "status", heading(row["metric"] for row in table["runs"]), "run")]
    rows += [(row["variant"], row["status"], row["result"], row["run"] or row["message"]) for row in table["runs"]]
    lines = columns(rows, right=(2,))
    sound = [row["run"] for row in table["runs"] if row["run"] and not row["exit_code"]]
    if len(sound) > 1:
        lines.append(f"compare them: composer compare {shlex.join(sound)}")
    if table["failed"]:
        lines.append(f"{table['failed']} failed; the same command again runs only those")
    return "\n".join(lines)


def ensure_one_program(members: Mapping[str, Blueprint]) -> None:
    """Raise Refused where a blueprint cannot share the program of the first, or memory is short."""
    first, *others = members
    for other in others:
        if why := obstacle(members[first], members[other]):
            raise Refused(f"{first!r} and {other!r} cannot be trained in one program: {why}")
    needs, available = forecast(joined([*members.values()])).total, available_bytes()
    if needs > available:
        raise Refused(f"{len(members)} variants together need {needs:.1e} bytes; available {available:.1e}")


def for_one_program(blueprint: Path, overrides: Sequence[str], variants: Sequence[str]) -> list[NewRun]:
    """The variants, which are trained in one program. Refused where one cannot, or memory is short."""
    planned = planned_runs(blueprint, overrides, variants)
    if len(planned) < 2 or len({each.name for each in planned}) < len(planned):
        raise Refused("--together takes two or more variants, each once")
    ensure_one_program({each.name: each.blueprint for each in planned})
    return [NewRun(each.name, each.blueprint, each.variant) for each in planned]


def finished(runs: Path, planned: SweepRun) -> Path | None:
    """The newest finished run of the same settings in ``runs``, under the same versions; forks do not count."""
    directories = RunDirectories(runs)
    directories.refresh()
    declared = planned.blueprint
    versions = libraries(declared.environment, declared.requires, is_to_run=False)
    found = chosen(directories.find(planned.digest, declared.training.env_steps, versions))
    return found.path if found is not None and found.state == "finished" else None


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
