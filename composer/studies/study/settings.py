"""``[set]`` and ``[when]`` of a study file: what each point changes, as plain overrides with the lines they come from.

Tests: tests/studies/study/test_settings.py.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from composer.blueprint.syntax.nodes import Node, Origin, plain, read_path, replaces, show_path
from composer.blueprint.syntax.overrides import TILDE
from composer.blueprint.syntax.parts import read_parts
from composer.blueprint.syntax.positions import MAX_NESTING, Path
from composer.blueprint.syntax.problems import Problem
from composer.blueprint.syntax.write import toml_value
from composer.spec import plugins
from composer.spec.package_files import registry_root
from composer.spec.wording import quote, suggestion
from composer.studies.study.axes import VARIANT, Axes, no_value, unknown_axis
from composer.studies.study.points import Value, same
from composer.studies.study.problems import study_problem
from composer.studies.study.scope import Scope

INTERVENTION = "intervention"
"""The family of parts that ``use`` names."""
_ELSEWHERE = {
    "seeds": "write seeds = ... at the top of the file",
    "extends": "name the blueprint at the top of the file",
    "variants": "write [axis] variant = [...]",
    "blueprint": "the format of a blueprint is no setting",
    "requires": "the blueprint itself lists its plug-ins",
}


class Change(NamedTuple):
    """An override with the line of the study from which it comes."""

    text: str
    at: Origin


@dataclass(frozen=True)
class Condition:
    """A table of ``[when]``: where it holds, and what holds there."""

    values: Mapping[str, Value]
    """The value that each axis must have."""
    uses: tuple[Change, ...] = ()
    variants: tuple[Node, ...] = ()
    removals: tuple[Change, ...] = ()
    settings: Mapping[Path, Node] = field(default_factory=dict)

    def holds(self, point: Mapping[str, Value]) -> bool:
        """Whether it holds at a point."""
        return all(same(point[axis], value) for axis, value in self.values.items())


@dataclass
class Settings:
    """Everything that a study sets."""

    always: Mapping[Path, Node]
    """The values of ``[set]`` by path."""
    conditions: list[Condition]
    used: set[str] = field(default_factory=lambda: {"blueprint", VARIANT})
    """The axes on which something depended so far."""

    def at(self, point: Mapping[str, Value]) -> tuple[list[Node], list[Change], list[Problem]]:
        """Variants of ``[when]`` and overrides of a point, in order, and the problems of its expressions."""
        holding = [each for each in self.conditions if each.holds(point)]
        entries = dict(self.always)
        for each in holding:
            for path, node in each.settings.items():
                entries.pop(path, None)  # The last one on a key counts, and comes last.
                entries[path] = node
        scope = Scope(point, entries)
        # What two conditions remove, or lay, is removed or laid once.
        changes = [*{change.text: change for each in holding for change in (*each.removals, *each.uses)}.values()]
        changes.sort(key=lambda change: not change.text.startswith(TILDE))
        changes += [
            Change(f"{show_path(path)}={toml_value(value)}", node.at)
            for path, node in entries.items()
            if (value := scope.value(path, node)) is not None
        ]
        self.used |= scope.used
        return [node for each in holding for node in each.variants], changes, [*scope.problems.values()]


def read_settings(tree: Node, axes: Axes) -> tuple[Settings, list[Problem]]:
    """``[set]`` and ``[when]`` of a valid study file, and the problems of their keys and conditions."""
    problems: list[Problem] = []
    always = _entries(tree.get(("set",)), ("set",), problems)
    node = tree.get(("when",))
    conditions = [
        _condition(str(name), child, axes.values, problems) for name, child in (node.children() if node else ())
    ]
    used = {axis for each in conditions for axis in each.values}
    settings = Settings(always, conditions)
    settings.used |= used
    return settings, problems


def _entries(table: Node | None, where: Path, problems: list[Problem]) -> dict[Path, Node]:
    """The values below a table by their path in the blueprint; a table with ``kind`` or ``use`` is one value."""
    found: dict[Path, Node] = {}
    for path, node in _leaves(table, (), where, problems) if table else ():
        name = show_path(path)
        if hint := _ELSEWHERE.get(str(path[0])):
            problems.append(study_problem(node.key, name, "cannot be set here", hint))
        elif path in found:
            problems.append(study_problem(node.key, name, f"is set above too, on line {found[path].key.line}"))
        else:
            found[path] = node
    return found


def _leaves(table: Node, outer: Path, where: Path, problems: list[Problem]) -> Iterator[tuple[Path, Node]]:
    for name, child in table.children():
        steps = read_path(str(name))
        if steps is None or len(outer) + len(steps) > MAX_NESTING:
            message = f"expected a key of the blueprint such as networks.critic.trunk.width, got {quote(str(name))}"
            problems.append(study_problem(child.key, show_path((*where, name)), message))
        elif child.is_table and child.value and not replaces(child):
            yield from _leaves(child, (*outer, *steps), (*where, name), problems)
        else:
            yield (*outer, *steps), child


def _condition(text: str, node: Node, values: Mapping[str, Sequence[Value]], problems: list[Problem]) -> Condition:
    where = ("when", text)
    wanted: dict[str, Value] = {}
    for part in text.split(","):
        name, equals, written = (piece.strip() for piece in part.partition("="))
        key = replace(node, at=node.key)
        if name not in values:
            problems.append(unknown_axis(key, show_path(where), name, values))
        elif not equals and not all(isinstance(value, bool) for value in values[name]):
            hint = f'write [when."{name}=VALUE"]'
            problems.append(study_problem(node.key, show_path(where), f"axis {name!r} is not boolean", hint))
        elif name in wanted:
            problems.append(study_problem(node.key, show_path(where), f"names axis {name!r} twice"))
        else:
            value = _read(written, values[name]) if equals else True
            wanted[name] = value
            if not any(same(value, each) for each in values[name]):
                problems.append(no_value(key, show_path(where), name, value, values[name]))
    uses, variants, removals = (node.get((key,)) for key in ("use", "variant", "remove"))
    return Condition(
        wanted,
        tuple(_use(child, problems) for child in _listed(uses)),
        tuple(_listed(variants)),
        tuple(Change(f"{TILDE}{child.value}", child.at) for child in _listed(removals)),
        _entries(node.get(("set",)), (*where, "set"), problems),
    )


def _read(text: str, values: Sequence[Value]) -> Value:
    """The value that a condition writes: a string as it is, others as TOML."""
    if any(isinstance(value, str) for value in values):
        return text
    try:
        value = tomllib.loads(f"value = {text}").get("value", text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, Value) else text


def _listed(node: Node | None) -> list[Node]:
    return [] if node is None else [node] if not isinstance(node.value, list) else list(node.value)


def _use(node: Node, problems: list[Problem]) -> Change:
    """The override that lays an intervention under its own name; one of a plug-in is known to its blueprint alone."""
    name, known = str(plain(node)), read_parts(registry_root())
    part = known.get(name)
    if part is not None and part.family != INTERVENTION:
        hint = "use lays interventions; give other parts to their key below set"
        problems.append(study_problem(node.at, "use", f"{quote(name)} is a {part.family}", hint))
    elif part is None and not plugins.is_namespaced(name):
        hint = suggestion(name, [each for each, found in known.items() if found.family == INTERVENTION])
        message = f"no intervention named {quote(name)}"
        problems.append(study_problem(node.at, "use", message, hint.removeprefix("; ")))
    return Change(f"interventions.{name.rpartition('/')[2]}={toml_value({'use': name})}", node.at)
