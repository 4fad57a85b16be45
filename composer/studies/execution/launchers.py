"""The launcher that a command names: ``--slurm``, ``--ray``, or processes of this machine.

    --slurm auto    --slurm local    --slurm partition=gpu,time=12:00:00
    --ray auto      --ray local      --ray 10.0.0.7:6379,num_gpus=0.5

Tests: tests/studies/execution/test_launchers.py.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field

from composer.blueprint import BlueprintError
from composer.blueprint.checks.form import validate
from composer.blueprint.syntax.nodes import Node, annotate, merge, with_note
from composer.blueprint.syntax.overrides import COMMAND_LINE
from composer.blueprint.syntax.problems import Problem, at_file
from composer.spec.family import Spec
from composer.studies import Refused
from composer.studies.execution.local import LocalLauncher
from composer.studies.execution.resources import foreseen_threads, threads_of
from composer.studies.execution.work import Launcher

MANY = 10_000
"""Works at a time where a cluster queues them itself."""
S = TypeVar("S", bound=Spec)


class RayTable(Spec):
    """The table ``[ray]`` of a study, and ``--ray ADDRESS,KEY=VALUE,...``: what a run asks of Ray."""

    num_cpus: Annotated[int, Field(ge=1, le=1_024)] | None = None
    """Processors of a run; by default as many as it has threads."""
    num_gpus: Annotated[float, Field(ge=0.0, le=16.0)] = 0.0
    """GPUs of a run; below 1, several runs share one."""


@contextmanager
def launching(
    folder: Path, jobs: int | None, slurm: str | None = None, ray: str | None = None, study: Node | None = None
) -> Iterator[Launcher]:
    """The launcher of the study in ``folder``, with ``jobs`` at a time, and the tables of its file ``study``.

    Raises BlueprintError for keys that there are not, and Refused where a cluster is not to be had.
    """
    if slurm is not None and ray is not None:
        raise Refused("--slurm and --ray exclude each other")
    if slurm is not None:
        from composer.studies.execution.slurm import SlurmLauncher, SlurmTable

        where, asked = _options("slurm", slurm, SlurmTable, study)
        if where not in ("", "auto", "local"):
            raise at_file(COMMAND_LINE, f"--slurm takes auto, local, or KEY=VALUE,..., got {where!r}")
        threads = foreseen_threads(folder, asked.cpus_per_task or 1)
        slots = jobs or (1 if where == "local" else MANY)
        submitting = SlurmLauncher(folder / "slurm", asked, "local" if where == "local" else "slurm", threads, slots)
        threads_of(folder, threads)  # Decided only now: without Slurm nothing has begun.
        yield submitting
    elif ray is not None:
        from composer.studies.execution.ray import ray_cluster

        address, takes = _options("ray", ray, RayTable, study)
        threads = foreseen_threads(folder, takes.num_cpus or 1)
        with ray_cluster(address or "auto", takes.num_cpus or threads, takes.num_gpus, jobs or MANY) as launcher:
            threads_of(folder, threads)
            yield launcher
    else:
        yield LocalLauncher(jobs or 1)


def _options(name: str, text: str, spec: type[S], study: Node | None) -> tuple[str, S]:
    """The word without a value in an option, and its values laid over the table of the study's file."""
    head, values = "", {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        key, equals, value = part.partition("=")
        if equals:
            values[key] = _value(value)
        elif head or values:
            raise at_file(COMMAND_LINE, f"--{name}: expected KEY=VALUE, got {part!r}")
        else:
            head = part
    given = with_note(annotate(values, {}, COMMAND_LINE), f"--{name}")
    table = study.get((name,)) if study is not None else None
    found, problems = validate(merge(table, given) if table is not None else given, frozenset(), spec)
    if found is None or problems:
        raise BlueprintError(_below(name, each) for each in problems)
    return head, found


def _below(name: str, found: Problem) -> Problem:
    return Problem(found.file, found.line, found.column, f"{name}.{found.path}", found.message, found.hint)


def _value(text: str) -> object:
    """A number or a boolean, else the text as it is."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, KeyError):
        return text
    return value if isinstance(value, bool | int | float) else text
