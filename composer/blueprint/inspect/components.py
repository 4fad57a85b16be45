"""The components of an agent, found from its blueprint, and the overrides that take some of them out.

A spec declares what it can do without: a field by ``Without``, a kind by ``Family.without``. Nothing here knows a kind.
Tests: tests/blueprint/test_components.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.extends import read_chain
from composer.blueprint.syntax.interpolation import reference
from composer.blueprint.syntax.layers import layered
from composer.blueprint.syntax.nodes import Node, show_path
from composer.blueprint.syntax.notation import Experiment
from composer.blueprint.syntax.overrides import TILDE, read_overrides
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.removal import Removal
from composer.blueprint.syntax.write import toml_value
from composer.spec.family import Family, Spec, plain_value
from composer.spec.without import Without

UNLEARNED: Final = 1e-30
"""A learning rate with which a learned scalar stays where it starts, in float32."""
_GONE: Final = object()


@dataclass(frozen=True)
class Component:
    """A part of an agent that can be taken out, leaving an agent."""

    path: Path
    """Where it stands in the resolved blueprint."""
    kind: str
    """Its kind, or the name of its field."""
    stand_in: object = None
    """What stands there without it: a TOML value, a spec, or None for nothing."""
    is_entry: bool = False
    """Whether it is an entry of a table or list, which goes as a whole."""
    served_by: tuple[Path, ...] = ()
    """Networks, averages and optimizers that nothing else needs, which go with it."""

    @property
    def key(self) -> str:
        """The path as text, as overrides and messages write it."""
        return show_path(self.path)

    @property
    def name(self) -> str:
        """For tables: the key, with the kind where the key does not end in it."""
        return self.key if self.path[-1] == self.kind or self.is_entry else f"{self.key} ({self.kind})"

    def is_named(self, text: str) -> bool:
        """Whether ``text`` is its key, a table around it, or its kind."""
        return text == self.kind or any(show_path(self.path[:n]) == text for n in range(1, len(self.path) + 1))


def components(blueprint: Blueprint) -> list[Component]:
    """Every component that a blueprint has and that changes something, in the order of its keys."""
    found = {each.path: _with_what_serves_it(each, blueprint) for each in _components(blueprint, ())}
    for role in blueprint.algorithm.learned_scalars():
        path: Path = ("optimizers", role, "learning_rate")
        if hasattr(blueprint.optimizers.get(role), "learning_rate"):
            found[path] = Component(path, f"learned {role}", UNLEARNED)
    return list(found.values())


def without(experiment: Experiment, blueprint: Blueprint, removed: Sequence[Component]) -> tuple[str, ...]:
    """The overrides of the experiment with which it lacks ``removed``: removals first, then its own, then changes.

    They change the keys of the file; of a part that is used there, the table that uses it is written out.
    """
    path, overrides, variant = experiment
    trees, own = read_chain(path), read_overrides(overrides)
    root = layered(trees, own, variant).root
    gone = _by_path(removed)
    stripped = _stripped(blueprint, (), gone)
    dropped: dict[Path, None] = {}
    values: dict[Path, Path] = {}
    for each in gone.values():
        at, resolved = _written(root, each.path)
        if (each.is_entry or each.stand_in is None) and resolved == each.path:
            dropped[at] = None
        else:
            values[at] = resolved
    tables = {at: _compact(_value(stripped, to)) for at, to in values.items() if not _is_within(at, values)}
    # A table without kind would be merged with the one below it.
    dropped |= {at: None for at, new in tables.items() if _is_plain(new) and root.get(at) is not None}
    dropped = {at: None for at in dropped if not _is_within(at, tables)}
    # Removals are of what the file has; what an override of the experiment sets goes with that override.
    file = layered(trees, [each for each in own if isinstance(each, Removal)], variant).root
    removals = [f"{TILDE}{show_path(at)}" for at in dropped if file.get(at) is not None]
    kept = [text for text, each in zip(overrides, own, strict=True) if each.path not in dropped]
    kept = [text for text in kept if not _is_within(read_overrides([text])[0].path, dropped)]
    return (*removals, *kept, *(f"{show_path(at)}={toml_value(new)}" for at, new in tables.items()))


def _components(value: object, path: Path) -> Iterator[Component]:
    if isinstance(value, Family) and (instead := value.without()) is not None:
        yield Component(path, value.kind, instead)
    if isinstance(value, Spec):
        for name, field in type(value).model_fields.items():
            present, at = getattr(value, name), (*path, name)
            neutral = next((each for each in field.metadata if isinstance(each, Without)), None)
            if neutral is not None:
                yield from _of_field(present, neutral.neutral(present), at)
            yield from _components(present, at)
    elif isinstance(value, Mapping):
        for name, child in value.items():
            yield from _components(child, (*path, name))
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            yield from _components(child, (*path, index))


def _with_what_serves_it(component: Component, blueprint: Blueprint) -> Component:
    """The component with the networks that an option of the algorithm needs, and what belongs to them."""
    roles = blueprint.algorithm.roles(blueprint.environment.info)
    own = {role.name for role in roles if role.option and component.path == ("algorithm", role.option)}
    averages = [name for name, network in blueprint.averaged_networks.items() if network in own]
    tables: dict[str, Sequence[str]] = {"networks": [*own], "averages": averages, "optimizers": [*own]}
    paths = [(table, name) for table, names in tables.items() for name in sorted(names)]
    return replace(component, served_by=tuple(paths))


def _of_field(present: object, neutral: object, path: Path) -> Iterator[Component]:
    if isinstance(present, Mapping):
        yield from (Component((*path, name), str(path[-1]), is_entry=True) for name in present)
    elif isinstance(present, tuple):
        yield from (Component((*path, index), str(path[-1]), is_entry=True) for index in range(len(present)))
    elif plain_value(present) != neutral:
        yield Component(path, str(path[-1]), neutral)


def _stripped(value: Any, path: Path, removed: Mapping[Path, Component]) -> Any:
    """``value`` without the removed components below ``path``; ``_GONE`` for an entry that is removed."""
    if isinstance(value, Mapping):
        entries = {name: _stripped(child, (*path, name), removed) for name, child in value.items()}
        value = {name: child for name, child in entries.items() if child is not _GONE}
    elif isinstance(value, list | tuple):
        kept = [_stripped(child, (*path, index), removed) for index, child in enumerate(value)]
        value = type(value)(child for child in kept if child is not _GONE)
    elif isinstance(value, Spec):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        changed = {name: _stripped(child, (*path, name), removed) for name, child in fields.items()}
        value = value.model_copy(update={name: each for name, each in changed.items() if each is not fields[name]})
    component = removed.get(path)
    if component is None:
        return value
    if component.is_entry:
        return _GONE
    # What stands in for a kind may be a part of it, from which other components are gone already.
    return value.without() if isinstance(component.stand_in, Family) else component.stand_in


def _written(root: Node, path: Path) -> tuple[Path, Path]:
    """The key of the file by which the value at ``path`` can be set, and how much of ``path`` it stands for.

    It ends where the file uses a part or refers to another value, and at the first key that the file leaves out.
    """
    node: Node = root
    at: Path = ()
    for index, step in enumerate(path):
        if isinstance(node.value, list) and isinstance(step, str):
            continue
        if (node.is_table and "use" in node.value) or reference(node) is not None:
            return at, path[:index]
        at = (*at, step)
        child = node.child(step)
        if child is None:
            return at, path[: index + 1]
        node = child
    return at, path


def _by_path(removed: Sequence[Component]) -> dict[Path, Component]:
    """Removed components by path, with the networks, averages and optimizers that go with them."""
    found = {each.path: each for each in removed}
    return found | {at: Component(at, "", is_entry=True) for each in removed for at in each.served_by}


def _is_plain(value: object) -> bool:
    return isinstance(value, Mapping) and "kind" not in value


def _is_within(path: Path, others: Mapping[Path, object]) -> bool:
    return any(path[:length] in others for length in range(len(path)))


def _value(root: object, path: Path) -> Any:
    value: Any = root
    for step in path:
        value = getattr(value, str(step)) if isinstance(value, Spec) else value[step]
    return value


def _compact(value: object) -> Any:
    """A value of TOML types without fields that have their default."""
    if isinstance(value, Spec):
        table = {
            name: _compact(child)
            for name, field in type(value).model_fields.items()
            if (child := getattr(value, name)) is not None and (field.is_required() or child != field.get_default())
        }
        return value.to_shorthand({"kind": value.kind, **table}) if isinstance(value, Family) else table
    if isinstance(value, Mapping):
        return {str(key): _compact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_compact(item) for item in value]
    return value
