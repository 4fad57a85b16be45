"""What a study trains: its points, and a run of each point on each task.

Tests: tests/studies/study/test_load.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from composer.blueprint import Blueprint, digest, load
from composer.blueprint.syntax.notation import experiment

Value = bool | int | float | str
"""A value of an axis."""


def shown(value: Value) -> str:
    """A value as tables and messages show it: as in TOML, without quotes."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def same(one: object, other: object) -> bool:
    """Whether two values are equal. ``true`` is not 1, but 1.0 is 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def name_of(values: Mapping[str, Value]) -> str:
    """``width=64, ratio=1``."""
    return ", ".join(f"{axis}={shown(value)}" for axis, value in values.items())


@dataclass(frozen=True)
class Point:
    """One combination of values of a study's axes, on one of its blueprints: an agent."""

    blueprint: str
    """``FILE@VARIANT+VARIANT``, as the command line takes it."""
    values: Mapping[str, Value] = field(default_factory=dict)
    """The values by axis."""
    overrides: tuple[str, ...] = ()
    """What the values set: plain overrides ``KEY=VALUE`` and ``~KEY``, of which the last on a key counts."""

    @property
    def name(self) -> str:
        """``width=64, ratio=1``; the name of the blueprint where there is no axis."""
        return name_of(self.values) or self.blueprint


@dataclass(frozen=True)
class StudyRun:
    """One run: a point on one task, with seeds that train in one program."""

    point: Point
    task: str
    """The task's name, as ``Environment.title`` gives it."""
    blueprint: Blueprint
    arguments: tuple[str, ...]
    """``FILE@VARIANT KEY=VALUE ...``: the arguments of ``composer train``, with which the run can be repeated."""

    @cached_property
    def key(self) -> str:
        """The digest of its settings, which leaves names out: runs of the same key train the same."""
        return digest(self.blueprint)

    @property
    def name(self) -> str:
        """For tables: the point, and the task."""
        return f"{self.point.name} on {self.task}"


def study_run(point: Point, seeds: Sequence[int], more: Sequence[str] = ()) -> StudyRun:
    """The run of ``point`` with ``seeds`` and the further overrides, such as a task. Raises BlueprintError."""
    overrides = (*point.overrides, *more, *seeding(seeds))
    blueprint = load(*experiment(point.blueprint, overrides), is_to_run=False).blueprint
    arguments = (point.blueprint, *overrides)
    return StudyRun(point, blueprint.environment.title, blueprint, arguments)


def seeding(seeds: Sequence[int]) -> tuple[str, ...]:
    """The override that sets ``seeds``; none where the blueprint keeps its own."""
    return (f"seeds={list(seeds)}",) if seeds else ()
