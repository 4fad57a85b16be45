"""Read a study file: the points that its axes make, and the runs that a study trains.

Tests: tests/studies/study/.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from composer.blueprint.checks.form import validate
from composer.blueprint.schema import SLUG_RULE, is_slug
from composer.blueprint.syntax.extends import read_chain, shipped
from composer.blueprint.syntax.nodes import Node, plain, show_path
from composer.blueprint.syntax.notation import UNDER, experiment
from composer.blueprint.syntax.problems import Problem, at_file
from composer.blueprint.syntax.read import read_tree
from composer.blueprint.syntax.variants import AND, BASE, unknown_variant
from composer.environments.suites.task_tables import suite, suite_names
from composer.spec.package_files import STUDIES, blueprints_root
from composer.spec.wording import near, quote, suggestion
from composer.studies.study.axes import BLUEPRINT, VARIANT, Axes, read_axes
from composer.studies.study.check import PlannedPoint, PlannedTask, StudyCheck
from composer.studies.study.points import Point, StudyRun, Value, seeding
from composer.studies.study.problems import Collected, StudyProblem, study_error, study_problem
from composer.studies.study.settings import Change, Settings, read_settings
from composer.studies.study.study_file import FORMAT, Limits, StudyFile

MAX_RUNS = 8_192
"""Most runs of a study: points times tasks."""


@dataclass(frozen=True)
class Study:
    """A checked study."""

    name: str
    description: str
    file: FilePath
    runs: tuple[StudyRun, ...]
    """A run per point and task, by point: its seeds train in one program."""
    points: tuple[Point, ...]
    """The points in order: the values of the last axis vary fastest."""
    tasks: tuple[str, ...]
    """The titles of the tasks, in order."""
    seeds: tuple[int, ...]
    """The seeds of every run; empty where each blueprint keeps its own."""
    axes: Mapping[str, tuple[Value, ...]]
    """The values by axis, in order; ``blueprint`` and ``variant`` are axes too."""
    tree: Node
    """The file, with lines: for tables such as ``[search]``, which their commands read."""
    warnings: tuple[StudyProblem, ...] = ()
    """What its blueprints say and their runs will not do, each with the points that it concerns."""
    is_together: bool = True
    """Whether runs share programs where that is measured to pay."""
    limits: Limits = field(default_factory=Limits)
    """Costs above which it is trained only with ``--yes``."""


def load_study(path: str | os.PathLike[str], *, is_to_run: bool = False) -> Study:
    """Load the study at ``path``, or the shipped one of that name, and check every run.

    With ``is_to_run`` memory and environments of this machine are checked too. Raises BlueprintError with all problems,
    each at its line and column of the study, with the points that have it.
    """
    found = _find(FilePath(path))
    file = str(found)
    tree = read_tree(found, file)
    declared = _declared(tree, file)
    name = declared.name or found.stem
    axes = read_axes(tree)
    settings, wrong = read_settings(tree, axes)
    tasks, unknown = _tasks(tree)
    named, missing = _blueprints(tree, found.parent)
    problems = [*_names(tree, name), *axes.problems, *wrong, *unknown, *missing]
    if problems:
        raise study_error(problems)
    planned, problems = _points(axes, settings, named, file)
    if len(planned) * len(tasks) > MAX_RUNS:
        message = f"{len(planned):,} points on {len(tasks)} tasks: limit {MAX_RUNS:,} runs"
        problems.append(study_problem(tree.at, "", message))
    problems += _unused(axes, settings)
    if problems:
        raise study_error(problems)
    node = tree.get(("seeds",))
    seeds = declared.seeds or ()
    seeded = Change(seeding(seeds)[0], node.at) if node else None
    check = StudyCheck(file, seeded, is_to_run)
    runs, problems = check.runs(planned, tasks)
    if problems:
        raise study_error(problems)
    titles = tuple(dict.fromkeys(run.task for run in runs))
    points = tuple(each.point for each in planned)
    described = name, declared.description, found
    limits, together = declared.limits, declared.together == "auto"
    warnings = (*_budget(tree, runs), *check.warnings)
    return Study(*described, tuple(runs), points, titles, seeds, axes.values, tree, warnings, together, limits)


def shipped_studies() -> Mapping[str, FilePath]:
    """The studies that ship with composer, by name: ``studies/NAME``."""
    root = blueprints_root()
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in sorted((root / STUDIES).glob("*.toml"))}


def _find(path: FilePath) -> FilePath:
    known = shipped_studies()
    # The folder of a study that was trained here has the name of the shipped study: studies/NAME.
    if path.as_posix() in known and not os.path.isfile(path):
        return known[path.as_posix()]
    if os.path.exists(path):
        return path
    name = path.as_posix().removesuffix(".toml")
    blueprint = next((each for each in (name, path.as_posix()) if each in shipped()), None)
    meant = near(name, known) or near(f"{STUDIES}/{name}", known)
    hint = f"did you mean {meant!r}?" if meant else "'composer list studies' shows those that there are"
    if blueprint is not None:
        hint = f"{blueprint!r} is a blueprint: 'composer train {blueprint}', or name it in a study"
    message = "no such file, nor a shipped study of this name"
    raise at_file(str(path), message, hint=hint)


def _declared(tree: Node, file: str) -> StudyFile:
    """The keys of a study file, valid each for itself; raises BlueprintError."""
    if "study" not in tree.value and isinstance(plain(tree).get("blueprint"), int):
        raise at_file(file, "this is a blueprint, not a study; 'composer check' reads it")
    declared, problems = validate(tree, frozenset(), StudyFile)
    if declared is None:
        raise study_error(map(_of_study, problems))
    return declared


def _of_study(found: Problem) -> Problem:
    """A problem of the format, in words of studies."""
    if found.path == "study" and not found.message.startswith("missing"):
        message = f"this composer reads studies of format {FORMAT}"
        return Problem(found.file, found.line, found.column, found.path, message)
    if found.path == "variants":
        return Problem(found.file, found.line, found.column, found.path, "unknown key", "write [axis] variant = [...]")
    return found


def _names(tree: Node, name: str) -> Iterator[Problem]:
    if "name" not in tree.value and not is_slug(name):
        yield study_problem(tree.at, "name", f"the file's name is no name of a study: {SLUG_RULE}", "set name = ...")


def _tasks(tree: Node) -> tuple[list[PlannedTask], list[Problem]]:
    node, listed = tree.get(("suite",)), tree.get(("tasks",))
    if node is not None and listed is not None:
        return [], [study_problem(listed.key, "tasks", "a study has a suite or tasks, not both")]
    if node is not None:
        if node.value not in suite_names():
            hint = suggestion(node.value, suite_names()).removeprefix("; ")
            return [], [study_problem(node.at, "suite", f"no suite named {quote(node.value)}", hint)]
        known = suite(node.value)
        return [PlannedTask(name, node, known.environment) for name in known.tasks], []
    tasks = [PlannedTask(str(child.value), child) for _, child in (listed.children() if listed else ())]
    names = [task.name for task in tasks]
    return tasks, [
        study_problem(task.node.at, show_path(("tasks", index)), f"{quote(task.name)} is listed twice")
        for index, task in enumerate(tasks)
        if task.name in names[:index]
    ]


def _budget(tree: Node, runs: Sequence[StudyRun]) -> Iterator[StudyProblem]:
    """A warning where the runs are longer or shorter than those that the source of their suite reports."""
    node = tree.get(("suite",))
    if node is None:
        return
    known, lengths = suite(node.value), sorted({run.blueprint.training.env_steps for run in runs})
    if lengths != [known.env_steps]:
        trained = " and ".join(f"{length:,}" for length in lengths)
        message = f"{known.name} is reported at {known.env_steps:,} environment steps; these runs train {trained}"
        yield study_problem(node.at, "suite", message, "set training.env_steps")


def _blueprints(tree: Node, folder: FilePath) -> tuple[dict[str, tuple[str, Node]], list[Problem]]:
    """For each blueprint that the study names: how the command line names it, and where it is written."""
    one, several = tree.get(("blueprint",)), tree.get(("blueprints",))
    if one is not None and several is not None:
        return {}, [study_problem(several.key, "blueprints", "a study has blueprint or blueprints, not both")]
    if one is None and several is None:
        return {}, [study_problem(tree.at, "blueprint", "missing key 'blueprint' (the agent that is studied)")]
    listed = several.children() if several else ()
    nodes = [("blueprint", one)] if one else [(show_path(("blueprints", index)), child) for index, child in listed]
    known = shipped()
    found: dict[str, tuple[str, Node]] = {}
    problems: list[Problem] = []
    for path, node in nodes:
        written = str(node.value)
        bare = written if written in known else written.rpartition(UNDER)[0] or written
        if experiment(str(folder / written)).path.is_file():
            found[written] = (str(folder / written), node)
        elif bare in known:
            found[written] = (written, node)
        else:
            meant = near(bare, known)
            hint = f"did you mean {meant!r}?" if meant else "paths begin at the folder of the study"
            problems.append(study_problem(node.at, path, f"no file and no shipped blueprint {quote(bare)}", hint))
    return found, problems


def _points(
    axes: Axes, settings: Settings, blueprints: Mapping[str, tuple[str, Node]], file: str
) -> tuple[list[PlannedPoint], list[Problem]]:
    """The points with what they set, and the problems of their expressions and of the names of their variants."""
    collected, planned = Collected(file, axes.combinations, [""]), []
    known = {name: _variants(text) for name, (text, _) in blueprints.items()}
    for number, values in enumerate(axes.combinations):
        chosen = str(values.get(BLUEPRINT, next(iter(blueprints))))
        name, within = blueprints[chosen]
        laid, changes, problems = settings.at(values)
        if VARIANT in values:
            within = axes.node(VARIANT, values[VARIANT])
            laid = [within, *laid]
        names = {part: node for node in laid for part in str(node.value).split(AND) if part != BASE}
        problems += [
            unknown_variant(part, known[chosen], node.at) for part, node in names.items() if part not in known[chosen]
        ]
        if names:
            name += (AND if experiment(name).variant else UNDER) + AND.join(names)
        planned.append(
            PlannedPoint(Point(name, values, tuple(change.text for change in changes)), tuple(changes), within)
        )
        for problem in problems:
            collected.add(problem, number, "", within)
    return planned, [*collected.problems()]


def _variants(blueprint: str) -> Mapping[str, Node]:
    """The variants that a blueprint declares, by name. Raises BlueprintError where it cannot be read."""
    tree = read_chain(experiment(blueprint).path)[-1].get(("variants",))
    return tree.value if tree is not None and tree.is_table else {}


def _unused(axes: Axes, settings: Settings) -> Iterator[Problem]:
    """A problem for each axis on which nothing depends: its points would be equal."""
    for name in axes.values:
        if name not in settings.used:
            message = "nothing depends on this axis"
            hint = f"name it below [set], as in ${{axis.{name}}}, or in [when.{name}]"
            yield study_problem(axes.nodes[name].key, show_path(("axis", name)), message, hint)
