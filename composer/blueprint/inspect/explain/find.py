"""Find the value of a key, in the resolved blueprint or in the file as it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from composer.blueprint.inspect.explain.fields import Field, field_at, names_at
from composer.blueprint.inspect.explain.history import Layer, Setting, layers, part_at, settings, written_settings
from composer.blueprint.load import load
from composer.blueprint.syntax.extends import read_chain
from composer.blueprint.syntax.nodes import Node, read_path, show_path
from composer.blueprint.syntax.overrides import read_overrides
from composer.blueprint.syntax.parts import parts
from composer.blueprint.syntax.positions import Path
from composer.spec.family import plain_value
from composer.spec.wording import describe, listing, near, quote


class UnknownKeyError(LookupError):
    """The blueprint has no such key."""


@dataclass(frozen=True)
class Explanation:
    """A key with its value, its declaration and the settings of the value."""

    key: str
    value: object
    """None where an option is absent."""
    field: Field
    settings: tuple[Setting, ...]
    """In order; the last one holds."""
    children: Mapping[str, Setting]
    """The last setting of each entry of a table or a list."""


def explain(path: str | FilePath, key: str, overrides: Sequence[str] = (), variant: str | None = None) -> Explanation:
    """Explain ``key`` of the blueprint at ``path``; raises BlueprintError, and UnknownKeyError with a near name.

    The key is one of the resolved blueprint (``networks.critic.trunk.layers[0].width``), or one of the file alone
    (``values.width``, or ``networks.critic.trunk.width`` as an argument of a part).
    """
    loaded = load(path, overrides, variant, is_to_run=False)
    found = [*layers(read_chain(FilePath(path)), read_overrides(overrides), variant)]
    steps = read_path(key.strip())
    if steps is None:
        raise UnknownKeyError(f"expected a key such as training.env_steps, got {quote(key)}")
    resolved = loaded.resolved
    reached = _resolved_steps(resolved, steps)
    if reached is not None:
        return _of_blueprint(resolved, reached, found)
    if _is_written(found[-1].written, steps):
        return _as_written(found, steps)
    if found[-1].removal_of(steps) is not None:
        made = (*settings(found, steps),) or (*written_settings(found, steps),)
        if made:
            return Explanation(show_path(steps), None, field_at(resolved, steps), made, {})
    raise UnknownKeyError(_unknown(resolved, found[-1], steps))


def _of_blueprint(resolved: Mapping[str, Any], path: Path, found: Sequence[Layer]) -> Explanation:
    value = _value(resolved, path)
    made = [*settings(found, path)]
    field = field_at(resolved, path)
    if not made:
        made += _default_of_a_table(resolved, path)
    if field.has_default and all(one.value != plain_value(field.default) for one in made if one.origin is None):
        made.insert(0, Setting("default", plain_value(field.default), None, (field.declared_by,)))
    entries = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    children = {show_path((*path, step)): _last(resolved, (*path, step), found) for step, _ in entries}
    return Explanation(show_path(path), value, field, tuple(made), children)


def _default_of_a_table(resolved: Mapping[str, Any], path: Path) -> Iterator[Setting]:
    """The setting of a key in a table that no layer sets: the default of the table holds."""
    for length in range(len(path) - 1, 0, -1):
        around = field_at(resolved, path[:length])
        if around.has_default:
            notes = (f"{around.declared_by}, as {show_path(path[length - 1 :])}",)
            yield Setting("default", _value(resolved, path), None, notes)
            return


def _last(resolved: Mapping[str, Any], path: Path, found: Sequence[Layer]) -> Setting:
    """The setting that holds, with the resolved value: entries of a table may be defaults."""
    made = [*settings(found, path)]
    value = _value(resolved, path)
    if not made or made[-1].value is None:
        return Setting("default", value, None)
    return replace(made[-1], value=value)


def _as_written(found: Sequence[Layer], path: Path) -> Explanation:
    made = tuple(written_settings(found, path))
    part = part_at(found[-1].written, path[:-1])
    if part is None:
        field = Field("A free value, for ${...}." if path[0] == "values" else "")
    elif path[-1] == "use":
        known = [name for name, each in parts().items() if each.family == part.family]
        field = Field("The part that is used here.", f"one of {listing(known, 60)}")
    else:
        field = Field(f"A parameter of the part {part.name}: {part.description}")
    return Explanation(show_path(path), made[-1].value, field, made, {})


def _is_written(written: Node, path: Path) -> bool:
    part = part_at(written, path[:-1])
    return written.get(path) is not None or (part is not None and path[-1] in part.parameters)


def _resolved_steps(resolved: Mapping[str, Any], steps: Path) -> Path | None:
    """``steps`` in the resolved blueprint, where a list that stands for a table is one key deeper; None if absent."""
    value: Any = resolved
    path: Path = ()
    for index, step in enumerate(steps):
        if isinstance(step, int) and isinstance(value, Mapping):
            lists = [name for name, item in value.items() if isinstance(item, list)]
            if len(lists) != 1:
                return None
            value, path = value[lists[0]], (*path, lists[0])
        if isinstance(value, Mapping) and step in value:
            value = value[str(step)]
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        elif index == len(steps) - 1 and step in names_at(resolved, path):
            return (*path, step)
        else:
            return None
        path = (*path, step)
    return path


def _value(resolved: Any, path: Path) -> Any:
    """The value at ``path``; None for an absent option."""
    for step in path:
        if isinstance(resolved, Mapping):
            resolved = resolved.get(step)
        elif isinstance(resolved, list) and isinstance(step, int):
            resolved = resolved[step]
    return resolved


def _unknown(resolved: Mapping[str, Any], last: Layer, steps: Path) -> str:
    """The message for an unknown key: the near one, or the keys of its table."""
    written, removal = last.written, last.removal_of(steps)
    if removal is not None:
        return f"no key {quote(show_path(steps))}; {removal.key} is removed at {removal.at}"
    around = steps[:-1]
    while around and _resolved_steps(resolved, around) is None and written.get(around) is None:
        around = around[:-1]
    names = {*map(str, _names(resolved, written, around))}
    wrong = str(steps[len(around)])
    meant = near(wrong, names)
    text = f"no key {quote(show_path(steps))}"
    if meant:
        return f"{text}; did you mean '{show_path((*around, meant))}'?"
    table = show_path(around) or "a blueprint"
    inner = _value(resolved, _resolved_steps(resolved, around) or ())
    if not names:
        return f"{text}; {table} is {describe(inner)}"
    return f"{text}; {table} has {listing(names)}"


def _names(resolved: Mapping[str, Any], written: Node, around: Path) -> list[object]:
    reached = _resolved_steps(resolved, around)
    value = _value(resolved, reached) if reached is not None else None
    names: list[object] = list(value) if isinstance(value, Mapping) else []
    names += names_at(resolved, reached) if reached is not None else []
    table, part = written.get(around), part_at(written, around)
    names += table.value if table is not None and table.is_table else []
    return [*names, *(part.parameters if part is not None else [])]
