"""Problems of a study file: each at its line, with the points that have it.

Tests: tests/studies/study/test_problems.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from typing_extensions import override

from composer.blueprint.syntax.nodes import Node, Origin
from composer.blueprint.syntax.problems import MAX_MESSAGE, BlueprintError, Problem
from composer.spec.wording import printable, shorten
from composer.studies.study.points import Value, name_of, same


@dataclass(frozen=True, order=True)
class StudyProblem(Problem):
    """A problem of a study file; ``study.toml:11:37 (at width=64, ratio=1): key: message``."""

    points: tuple[str, ...] = ()
    """Names of the points that have it; empty where it does not depend on the point."""

    def __str__(self) -> str:
        return self._with_points(super().__str__())

    @override
    def as_warning(self) -> str:
        return self._with_points(f"{self._place}: warning{super().__str__().removeprefix(self._place)}")

    @property
    def _place(self) -> str:
        return printable(f"{self.file}:{self.line}:{self.column}")

    def _with_points(self, text: str) -> str:
        """``text``, which begins with the place, with the first of the points behind it and the count of the others."""
        if not self.points:
            return text
        first, *others = self.points
        more = f" (and at {len(others)} more point{'s' if len(others) > 1 else ''})" if others else ""
        at = "" if first.startswith("on ") else "at "
        return f"{self._place} ({at}{printable(first)}){text.removeprefix(self._place)}{more}"


def study_problem(at: Origin, path: str, message: str, hint: str = "") -> StudyProblem:
    """A problem of the file itself, whatever the point."""
    return StudyProblem(at.file, at.line, at.column, path, shorten(message, MAX_MESSAGE), hint)


def study_error(problems: Iterable[Problem]) -> BlueprintError:
    """The error of a study file with these problems."""
    return BlueprintError(
        each
        if isinstance(each, StudyProblem)
        else StudyProblem(each.file, each.line, each.column, each.path, each.message, each.hint, each.cause)
        for each in problems
    )


class Collected:
    """Problems of the runs of a study, in which equal ones are joined."""

    def __init__(self, file: str, points: Sequence[Mapping[str, Value]], tasks: Sequence[str]) -> None:
        self._file = file
        self._points = points
        self._tasks = tasks
        self._found: dict[Problem, dict[int, list[str]]] = {}

    def add(self, found: Problem, point: int, task: str, within: Node | None = None) -> None:
        """Add a problem of a run. One at a line of the blueprint is reported at ``within``, with that line."""
        if found.file != self._file and within is not None:
            place = f"{found.file}:{found.line}:{found.column}: "
            path = f"{found.path}: " if found.path else ""
            found = study_problem(within.at, "", f"{place}{path}{found.message}", found.hint)
        self._found.setdefault(found, {}).setdefault(point, []).append(task)

    def __len__(self) -> int:
        return len(self._found)

    def problems(self) -> list[StudyProblem]:
        """Every problem once, with the points that have it; without them, where all have it."""
        return [
            StudyProblem(
                each.file, each.line, each.column, each.path, each.message, each.hint, points=self._named(runs)
            )
            for each, runs in self._found.items()
        ]

    def _named(self, runs: Mapping[int, Sequence[str]]) -> tuple[str, ...]:
        """The points of a problem: by the values that these points alone share, else one by one."""
        tasks = {*next(iter(runs.values()))}
        if any({*each} != tasks for each in runs.values()):
            return tuple(f"{name_of(self._points[point])} on {task}" for point, each in runs.items() for task in each)
        on = "" if len(tasks) == len(self._tasks) else f" on {', '.join(sorted(tasks))}"
        points = [self._points[index] for index in runs]
        shared = {axis: value for axis, value in points[0].items() if all(same(each[axis], value) for each in points)}
        alike = sum(all(same(each[axis], value) for axis, value in shared.items()) for each in self._points)
        if alike > len(points):
            return tuple(f"{name_of(point)}{on}" for point in points)
        if len(points) == len(self._points):
            return (on.removeprefix(" "),) if on else ()
        return (f"{name_of(shared)}{on}",)
