"""Load every point of a study on every task, and report what is wrong at the lines of the study.

Tests: tests/studies/study/test_problems.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path as FilePath

from composer.blueprint import BlueprintError
from composer.blueprint.checks.check import warnings_in
from composer.blueprint.checks.form import MAX_PROBLEMS
from composer.blueprint.load import load_tree
from composer.blueprint.syntax.compose import compose
from composer.blueprint.syntax.extends import read_chain
from composer.blueprint.syntax.nodes import Node, Origin
from composer.blueprint.syntax.notation import experiment
from composer.blueprint.syntax.overrides import COMMAND_LINE, Override, read_overrides
from composer.blueprint.syntax.problems import Problem
from composer.blueprint.syntax.removal import Removal
from composer.blueprint.syntax.write import toml_value
from composer.environments.base import Environment
from composer.spec import builtin_kinds as kinds
from composer.studies.study.points import Point, StudyRun
from composer.studies.study.problems import Collected, StudyProblem, study_problem
from composer.studies.study.settings import Change

MAX_TWINS = 3
"""Most pairs of points that train the same which are reported."""


@dataclass(frozen=True)
class PlannedPoint:
    """A point with the lines of what it sets."""

    point: Point
    changes: tuple[Change, ...]
    within: Node
    """The name of its blueprint in the study file."""


@dataclass(frozen=True)
class PlannedTask:
    """A task, where the study names it; ``kind`` is the environment of its suite, if it is of one."""

    name: str
    node: Node
    kind: str = ""


@dataclass
class StudyCheck:
    """Loads the runs of one study. Each file is read once."""

    file: str
    seeds: Change | None
    is_to_run: bool
    warnings: list[StudyProblem] = field(default_factory=list)
    """What the runs say and will not do, each with its points; filled by ``runs``."""
    _environments: dict[tuple[str, ...], type[Environment] | None] = field(default_factory=dict)
    _read: dict[str, tuple[FilePath, list[Node], str | None]] = field(default_factory=dict)

    def runs(
        self, points: Sequence[PlannedPoint], tasks: Sequence[PlannedTask]
    ) -> tuple[list[StudyRun], list[Problem]]:
        """The runs of all points on all tasks, by point, and every problem; without tasks, on the blueprint's own."""
        kinds.register()
        runs: list[StudyRun] = []
        values, names = [each.point.values for each in points], [task.name for task in tasks] or [""]
        wrong, warned = Collected(self.file, values, names), Collected(self.file, values, names)
        for (number, each), (name, task) in product(enumerate(points), zip(names, tasks or (None,), strict=True)):
            if len(wrong) >= MAX_PROBLEMS:
                break
            try:
                runs.append(self._run(each, task))
            except BlueprintError as error:
                for problem in error.problems:
                    # A problem at the line of a task needs no name of the task.
                    is_of_task = task is not None and not task.kind and _is_at(problem, task.node.at)
                    for shown in names if is_of_task else [name]:
                        wrong.add(problem, number, shown, each.within)
                continue
            for warning in warnings_in(runs[-1].blueprint):
                warned.add(warning, number, name)
        self.warnings = warned.problems()
        return runs, [*wrong.problems(), *(_twins(runs, points[0].within.at) if points else ())]

    def _blueprint(self, name: str) -> tuple[FilePath, list[Node], str | None]:
        """The file of a blueprint, its trees with those of its parents, and its variants. Raises BlueprintError."""
        if name not in self._read:
            path, _, variant = experiment(name)
            self._read[name] = path, read_chain(path), variant
        return self._read[name]

    def _run(self, planned: PlannedPoint, task: PlannedTask | None) -> StudyRun:
        changes = [*planned.changes]
        path, trees, variant = self._blueprint(planned.point.blueprint)
        if task is not None:
            changes.append(self._task(planned.point.blueprint, changes, task))
        if self.seeds is not None:
            changes.append(self.seeds)
        loaded = load_tree(trees, located(changes), variant, is_to_run=self.is_to_run)
        key = loaded.blueprint.tracking.place
        store = loaded.tree.get(("tracking", key))
        if store is not None and store.at.file == self.file:
            # As an override it would count as the user's own word, which may name any place.
            hint = "the blueprint, MLFLOW_TRACKING_URI or the command line does"
            raise BlueprintError([study_problem(store.at, f"tracking.{key}", "a study chooses no store", hint)])
        loaded.blueprint.derived["file"] = path
        arguments = (planned.point.blueprint, *(change.text for change in changes))
        return StudyRun(planned.point, loaded.blueprint.environment.title, loaded.blueprint, arguments)

    def _environment(self, blueprint: str, changes: Sequence[Change]) -> type[Environment] | None:
        """The kind of environment of a blueprint under changes; None where it names none. Raises BlueprintError."""
        mine = [change for change in changes if change.text.startswith("environment")]
        key = (blueprint, *(change.text for change in mine))
        if key not in self._environments:
            _, trees, variant = self._blueprint(blueprint)
            kind = compose(trees, located(mine), variant).root.get(("environment", "kind"))
            is_named = kind is not None and isinstance(kind.value, str)
            self._environments[key] = Environment.kinds().get(kind.value) if kind and is_named else None
        return self._environments[key]

    def _task(self, blueprint: str, changes: Sequence[Change], task: PlannedTask) -> Change:
        """The override that sets the task: its key is a property of the environment's kind."""
        environment = self._environment(blueprint, changes)
        if task.kind and environment is not None and environment.kind != task.kind:
            message = f"is a set of {task.kind} tasks; the environment of the blueprint is {environment.kind}"
            raise BlueprintError([study_problem(task.node.at, "suite", message)])
        if environment is not None and not environment.task_key:
            message = f"no single key of the environment {environment.kind} names its task"
            raise BlueprintError([study_problem(task.node.at, "tasks", message, "leave tasks and suite out")])
        key = environment.task_key if environment is not None else "task"
        if any(change.text.startswith(f"environment.{key}=") for change in changes):
            message = f"the study sets environment.{key} too"
            raise BlueprintError([study_problem(task.node.at, "tasks", message, "tasks are no setting: remove that")])
        return Change(f"environment.{key}={toml_value(task.name)}", task.node.at)


def located(changes: Sequence[Change]) -> list[Override | Removal]:
    """The overrides, with the lines of the study from which they come. Raises BlueprintError at these lines."""
    try:
        read = read_overrides([change.text for change in changes])
    except BlueprintError as error:
        found = [(each, changes[each.line - 1].at) for each in error.problems if each.file == COMMAND_LINE]
        raise BlueprintError(
            study_problem(at, each.path, each.message.partition(" (override ")[0], each.hint) for each, at in found
        ) from None
    return [_moved(each, change) for each, change in zip(read, changes, strict=True)]


def _moved(read: Override | Removal, change: Change) -> Override | Removal:
    return replace(read, at=change.at) if isinstance(read, Removal) else replace(read, node=_placed(read.node, change))


def _placed(node: Node, change: Change) -> Node:
    children = {step: _placed(child, change) for step, child in node.children()}
    return replace(node.rebuilt(children), key=change.at, at=change.at)


def _is_at(found: Problem, at: Origin) -> bool:
    return (found.file, found.line, found.column) == (at.file, at.line, at.column)


def _twins(runs: Sequence[StudyRun], at: Origin) -> Iterator[Problem]:
    """A problem for each run that would train the same as one before it."""
    first: dict[str, StudyRun] = {}
    twins = [(before, run) for run in runs if (before := first.setdefault(run.key, run)) is not run]
    for before, run in twins[:MAX_TWINS]:
        names = f"{before.point.name!r} and {run.point.name!r}"
        more = f"; so do {len(twins) - MAX_TWINS} more pairs" if len(twins) > MAX_TWINS else ""
        message = f"the points {names} train the same on {run.task}"
        yield study_problem(at, "", message, f"exclude one, or let a key depend on what differs{more}")
