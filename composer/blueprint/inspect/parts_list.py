"""List and show named parts: documentation, size at the defaults, an example of use.

Tests: tests/blueprint/test_parts.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from composer.blueprint.inspect.show import size_table
from composer.blueprint.inspect.show_text import size_text
from composer.blueprint.syntax.nodes import annotate, plain
from composer.blueprint.syntax.parts import Part, installed_problems, parts
from composer.blueprint.syntax.parts_expand import expand
from composer.blueprint.syntax.write import toml_value
from composer.networks.blocks.base import Block
from composer.networks.heads.base import Head
from composer.networks.outline import Outline
from composer.spec import builtin_kinds as kinds
from composer.spec import plugins
from composer.spec.family import Family
from composer.spec.quantities import shape_text
from composer.spec.shape import Shape, ShapeError
from composer.spec.wording import spelled, suggestion

VECTOR: Shape = (24,)
"""Input of blocks that declare none: the observation of walker-walk."""
ACTIONS = 6
"""Action size for heads: that of walker-walk."""
_KEYS = {"block": "trunk", "head": "head"}
_NAMED = {"average": "averages", "intervention": "interventions", "penalty": "penalties"}
"""Families whose values have free names, with the table that holds them."""


class UnknownPartError(LookupError):
    """There is no part, and no kind of a plug-in, of that name."""


@dataclass(frozen=True)
class Trial:
    """A part at its defaults on an input."""

    outline: Outline
    needs_embedding: bool
    """Whether the part takes only inputs of its own width, rather than vectors of any size."""


def parts_text(name: str | None = None) -> str:
    """A line for each part and each kind of a plug-in; or one of them with parameters, size and an example.

    Loads every installed plug-in. Raises UnknownPartError with a near name.
    """
    installed_problems()
    if name is None:
        rows = [(part.name, part.family, part.description, part.plugin) for part in parts().values()]
        rows += [(member.kind, member.noun(), member.summary(), of) for member, of in plugin_kinds()]
        return "\n".join(f"{row[0]:24} {row[1]:12} {row[2]}" + (f" [{row[3]}]" if row[3] else "") for row in rows)
    if found := [_kind_text(member, of) for member, of in plugin_kinds() if member.kind == name]:
        return "\n\n".join(found)
    part = _part(name)
    lines = [f"{part.name} ({part.family}): {part.description}", f"source: {part.source}", f"file: {part.file}"]
    if part.plugin:
        lines.append(f'plug-in: requires = ["{part.plugin}"]')
    if part.parameters:
        lines.append("parameters:")
        lines += [f"  {key} = {toml_value(plain(node))}" for key, node in part.parameters.items()]
    trial = try_out(part)
    if trial is not None:
        shapes = f"{shape_text(trial.outline.input)} → {shape_text(trial.outline.output)}"
        lines.append(f"size: {size_text(trial.outline)}, at these defaults on {shapes}")
    return "\n".join([*lines, f"use: {example(part, trial)}"])


def parts_json(name: str | None = None) -> dict[str, Any]:
    """The same as tables."""
    problems = installed_problems()
    named = [_kind_table(member, of) for member, of in plugin_kinds() if name in (None, member.kind)]
    if name is None:
        return {"parts": [_table(part) for part in parts().values()], "kinds": named, "problems": problems}
    if named:
        return {"kinds": named}
    part = _part(name)
    trial = try_out(part)
    size = size_table(trial.outline) if trial else None
    return {"parts": [{**_table(part), "size": size, "example": example(part, trial)}]}


def try_out(part: Part) -> Trial | None:
    """The outline of a block or a head at its defaults; None for other parts, and where no input shape fits."""
    kinds.register()
    family = {"block": Block, "head": Head}.get(part.family)
    if family is None:
        return None
    body, _ = expand(annotate({"use": part.name}, {}, part.file))
    try:
        spec: Block | Head = TypeAdapter[Any](family).validate_python(plain(body))
    except ValidationError:
        return None
    for shape in _inputs(part):
        try:
            outline = spec.outline(shape) if isinstance(spec, Block) else spec.outline(shape, ACTIONS)
        except ShapeError:
            continue
        return Trial(outline, part.input is None and shape != VECTOR)
    return None


def example(part: Part, trial: Trial | None) -> str:
    """A line of a blueprint that uses the part with all its parameters."""
    use = {"use": part.name, **{name: plain(node) for name, node in part.parameters.items()}}
    key = _KEYS.get(part.family, part.family)
    if part.family in _NAMED:
        key = f"{_NAMED[part.family]}.{part.name.rpartition('/')[2]}"
    if trial is not None and trial.needs_embedding and part.family == "block":
        return f"{key} = {toml_value([{'kind': 'linear', 'width': trial.outline.input[-1]}, use])}"
    return f"{key} = {toml_value(use)}"


def _inputs(part: Part) -> Iterator[Shape]:
    if part.input is not None:
        yield part.input
        return
    yield VECTOR
    width = part.parameters.get("width")
    if width is not None and isinstance(width.value, int):
        yield (width.value,)


def plugin_kinds() -> list[tuple[type[Family], str]]:
    """The kinds of loaded plug-ins, each with its distribution, in order of names."""
    found = [
        (member, plugin.distribution) for plugin in plugins.loaded() for member in plugins.kinds_of(plugin).values()
    ]
    return sorted(found, key=lambda item: (item[0].kind, item[0].family))


def _kind_text(member: type[Family], of: str) -> str:
    about = f"{member.kind} (kind of {member.noun()}): {inspect.getdoc(member)}"
    return f'{about}\nplug-in: requires = ["{of}"]\nuse: {toml_value(member.example)}'


def _kind_table(member: type[Family], of: str) -> dict[str, Any]:
    about = {"name": member.kind, "family": member.family, "description": member.summary()}
    return {**about, "plugin": of, "example": dict(member.example)}


def _part(name: str) -> Part:
    known = parts()
    if name not in known:
        names = [*known, *(member.kind for member, _ in plugin_kinds())]
        raise UnknownPartError(f"no part named {spelled(name)}{suggestion(name, names)}")
    return known[name]


def _table(part: Part) -> dict[str, Any]:
    keys = ("name", "family", "description", "source", "file", "plugin")
    parameters = {key: plain(node) for key, node in part.parameters.items()}
    return {**{key: getattr(part, key) for key in keys}, "parameters": parameters}
