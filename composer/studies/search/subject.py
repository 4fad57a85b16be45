"""What a search trains: one agent on the tasks of a study, under values that the trials choose.

Tests: tests/studies/search/test_search.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from composer.blueprint import BlueprintError, Problem
from composer.blueprint.forecast.metrics import known_metrics
from composer.blueprint.syntax.nodes import Node, Origin
from composer.blueprint.syntax.write import toml_value
from composer.spec.wording import suggestion
from composer.studies.search.table import SearchTable
from composer.studies.study.points import Point, StudyRun, Value, study_run

Values = Mapping[str, Value]
"""The values of a trial, by the name of their space."""


@dataclass(frozen=True)
class Subject:
    """An agent, its tasks and seeds, and what is searched."""

    point: Point
    tasks: tuple[tuple[str, ...], ...]
    """The overrides that choose each task."""
    seeds: tuple[int, ...]
    table: SearchTable
    node: Node
    """The table ``[search]`` in the study's file."""

    def runs(self, values: Values, number: int | None = None, seeds: Sequence[int] | None = None) -> list[StudyRun]:
        """The runs of a trial, one per task; raises BlueprintError where the blueprint cannot have the values."""
        named = {"trial": number} if number is not None else {}
        overrides = (*self.point.overrides, *self.table.overrides(values))
        point = Point(self.point.blueprint, {**self.point.values, **named, **values}, overrides)
        return [study_run(point, seeds or self.seeds, task) for task in self.tasks]

    @cached_property
    def plain(self) -> list[StudyRun]:
        """The runs of the agent as it is, one per task."""
        return self.runs({})

    @property
    def present(self) -> Values | None:
        """The values that the agent has now; None where the search could not choose them."""
        return self.table.present([run.blueprint for run in self.plain])

    @property
    def metric(self) -> str:
        """The metric whose interquartile mean at the end is a trial's score."""
        return self.table.metric or self.plain[0].blueprint.environment.metric

    @property
    def identity(self) -> dict[str, Any]:
        """What a score depends on beside the table: trials of another subject are of no use."""
        return {"tasks and seeds of the blueprint": [run.key for run in self.plain]}

    def check(self) -> None:
        """Try both ends of every range and every choice, alone; raises BlueprintError at the lines of the study."""
        self._check_metric()
        problems: list[Problem] = []
        for name, space in self.table.space.items():
            for index, value in enumerate(space.ends):
                try:
                    self.runs({name: value})
                except BlueprintError as error:
                    where = index if space.choices else ("low", "high")[index]
                    problems += [self._at(name, where, value, each) for each in error.problems]
        if problems:
            raise BlueprintError(problems)

    def _check_metric(self) -> None:
        for run in self.plain:
            names = [each.metric.name for each in known_metrics(run.blueprint) if each.where == "journal"]
            if self.metric not in names:
                message = f"no metric {self.metric!r} of {run.task}{suggestion(self.metric, names)}"
                raise BlueprintError([_problem(self._origin("metric"), "search.metric", message)])

    def _at(self, name: str, where: int | str, value: Value, found: Problem) -> Problem:
        """A problem of the blueprint, at the place of the value that caused it."""
        what = f"{found.path}: {found.message}" if found.path else found.message
        message = f"(at {name}={toml_value(value)}) {what}"
        path = f'search.space."{name}"' if "." in name else f"search.space.{name}"
        return _problem(self._origin("space", name, where), path, message, found.hint)

    def _origin(self, *path: int | str) -> Origin:
        found = self.node.get(path) or self.node.get(path[:-1]) or self.node
        return found.at


def _problem(origin: Origin, path: str, message: str, hint: str = "") -> Problem:
    return Problem(origin.file, origin.line, origin.column, path, message, hint)
