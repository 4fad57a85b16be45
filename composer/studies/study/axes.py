"""The axes of a study: their values, crossed or zipped, without the points that are excluded.

Tests: tests/studies/study/test_axes.py.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from composer.blueprint.syntax.nodes import Node, plain, show_path
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import Problem
from composer.spec.wording import INTEGER_RULE, INTEGERS, describe, listing, near, quote, suggestion
from composer.studies.study.points import Value, same, shown
from composer.studies.study.problems import study_problem
from composer.studies.study.study_file import AXIS

BLUEPRINT = "blueprint"
"""The axis of several blueprints."""
VARIANT = "variant"
"""The axis of variants of the blueprint."""
MAX_POINTS = 4_096
"""Most points of a study, before some are excluded."""
_ELSEWHERE = {
    "blueprint": "write blueprints = [...] at the top of the file",
    "task": "write tasks = [...] at the top of the file",
    "tasks": "write tasks = [...] at the top of the file",
    "suite": "write suite = ... at the top of the file",
    "seed": "write seeds = ... at the top of the file",
    "seeds": "write seeds = ... at the top of the file",
}
_AXIS_RULE = "use a name of [A-Za-z0-9_], 1 to 64 characters, the first a letter"


@dataclass
class Axes:
    """The axes of a study file."""

    values: dict[str, tuple[Value, ...]] = field(default_factory=dict)
    """The values by axis, in the order of the file."""
    nodes: dict[str, Node] = field(default_factory=dict)
    """Where each axis is written: a list."""
    combinations: tuple[Mapping[str, Value], ...] = ()
    """The values of each point; those of the last axis vary fastest."""
    problems: list[Problem] = field(default_factory=list)

    def node(self, axis: str, value: Value) -> Node:
        """Where a value of an axis is written."""
        return next(child for _, child in self.nodes[axis].children() if same(child.value, value))


def read_axes(tree: Node) -> Axes:
    """The axes of a valid study file, and the problems of their values, groups and exclusions."""
    found = Axes()
    several = tree.get(("blueprints",))
    if several is not None:
        found.nodes[BLUEPRINT] = several
        found.values[BLUEPRINT] = _values(("blueprints",), several, found.problems)
    axis = tree.get(("axis",))
    for name, node in axis.children() if axis else ():
        path = ("axis", name)
        if name in _ELSEWHERE:
            found.problems.append(study_problem(node.key, show_path(path), "is no axis", _ELSEWHERE[str(name)]))
        elif not re.match(AXIS, str(name)):
            found.problems.append(study_problem(node.key, show_path(path), f"the name of an axis: {_AXIS_RULE}"))
        found.nodes[str(name)] = node
        found.values[str(name)] = _values(path, node, found.problems)
    groups = _groups(tree, found)
    if found.problems:
        return found
    count = math.prod(len(found.values[group[0]]) for group in groups)
    if count > MAX_POINTS:
        message = f"{count:,} points; limit {MAX_POINTS:,}"
        found.problems.append(study_problem(axis.key if axis else tree.at, "axis", message))
        return found
    found.combinations = _without_excluded(tree, found, [*_crossed(groups, found.values)])
    return found


def _values(path: Path, node: Node, problems: list[Problem]) -> tuple[Value, ...]:
    """The values of an axis: of one type, where integers and floats count as one, and each once."""
    if not node.value:
        problems.append(study_problem(node.at, show_path(path), "has no value"))
    known: list[Value] = []
    for index, child in enumerate(node.value):
        where, value = show_path((*path, index)), child.value
        message = _refusal(value, known)
        if message:
            problems.append(study_problem(child.at, where, message))
        else:
            known.append(value)
    return tuple(known)


def _refusal(value: object, before: Sequence[Value]) -> str:
    if not isinstance(value, Value):
        return f"expected boolean, number or string, got {describe(value)}"
    if isinstance(value, float) and not math.isfinite(value):
        return f"must be finite, got {value}"
    if isinstance(value, int) and value not in INTEGERS:
        return INTEGER_RULE
    if isinstance(value, str) and "${" in value:
        return "an axis has plain values; expressions belong below [set]"
    if isinstance(value, str) and not value.isprintable():
        return f"has characters that cannot be printed: {quote(value)}"
    if before and _type(value) != _type(before[0]):
        return f"an axis has values of one type: {describe(value)} after {describe(before[0])}"
    return f"{describe(value)} is listed twice" if any(same(value, each) for each in before) else ""


def _type(value: Value) -> type:
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _groups(tree: Node, axes: Axes) -> list[list[str]]:
    """The axes in groups that vary together, in the order of their first ones."""
    group_of = {name: [name] for name in axes.values}
    node = tree.get(("zip",))
    for index, group in node.children() if node else ():
        path = show_path(("zip", index))
        names = []
        for position, child in group.children():
            name, where = child.value, show_path(("zip", index, position))
            if name not in axes.values:
                axes.problems.append(unknown_axis(child, where, name, axes.values))
            elif len(group_of[name]) > 1 or name in names:
                axes.problems.append(study_problem(child.at, where, f"axis {name!r} is in a group already"))
            else:
                names.append(name)
        lengths = {name: len(axes.values[name]) for name in names}
        if len(group.value) < 2:
            axes.problems.append(study_problem(group.at, path, "a group needs two axes or more"))
        elif len(set(lengths.values())) > 1:
            counts = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            message = f"axes that vary together need equally many values: {counts}"
            axes.problems.append(study_problem(group.at, path, message))
        else:
            group_of |= dict.fromkeys(names, names)
    return [group for name, group in group_of.items() if sorted(group, key=[*axes.values].index)[0] == name]


def unknown_axis(node: Node, path: str, name: object, known: Mapping[str, object]) -> Problem:
    """The problem of a name that no axis has."""
    hint = suggestion(str(name), known).removeprefix("; ") if known else "the study has no [axis]"
    return study_problem(node.at, path, f"no axis named {quote(str(name))}", hint)


def _crossed(groups: Sequence[Sequence[str]], values: Mapping[str, tuple[Value, ...]]) -> Iterator[dict[str, Value]]:
    rows = [[*zip(*(values[name] for name in group), strict=True)] for group in groups]
    for chosen in itertools.product(*rows):
        drawn = {
            name: value
            for group, row in zip(groups, chosen, strict=True)
            for name, value in zip(group, row, strict=True)
        }
        yield {name: drawn[name] for name in values}


def _without_excluded(tree: Node, axes: Axes, points: list[dict[str, Value]]) -> tuple[Mapping[str, Value], ...]:
    node = tree.get(("exclude",))
    for index, rule in node.children() if node else ():
        path, before = ("exclude", index), len(axes.problems)
        wanted = {str(name): _wanted(axes, (*path, name), str(name), child) for name, child in rule.children()}
        if len(axes.problems) > before:
            continue
        if not wanted:
            axes.problems.append(study_problem(rule.at, show_path(path), "names no axis"))
            continue
        kept = [point for point in points if not _matches(point, wanted)]
        if len(kept) == len(points):
            message = "excludes no point: none has these values, or an entry above excludes them"
            axes.problems.append(study_problem(rule.at, show_path(path), message))
        points = kept
    if not points and node is not None and not axes.problems:
        axes.problems.append(study_problem(node.at, "exclude", "excludes every point"))
    return tuple(points)


def _wanted(axes: Axes, path: tuple[str | int, ...], name: str, node: Node) -> list[Value]:
    if name not in axes.values:
        axes.problems.append(unknown_axis(node, show_path(path), name, axes.values))
        return []
    listed = [child for _, child in node.children()] if isinstance(node.value, list) else [node]
    for child in listed:
        if not any(same(child.value, value) for value in axes.values[name]):
            axes.problems.append(no_value(child, show_path(path), name, plain(child), axes.values[name]))
    return [child.value for child in listed]


def no_value(node: Node, path: str, axis: str, value: object, known: Sequence[Value]) -> Problem:
    """The problem of a value that an axis does not have."""
    names = [shown(each) for each in known]
    meant = near(value, names) if isinstance(value, str) else None
    hint = f"did you mean {meant!r}?" if meant else f"it has {listing(names)}"
    return study_problem(node.at, path, f"axis {axis!r} has no value {describe(value)}", hint)


def _matches(point: Mapping[str, Value], wanted: Mapping[str, Sequence[Value]]) -> bool:
    return all(any(same(point[name], value) for value in values) for name, values in wanted.items())
