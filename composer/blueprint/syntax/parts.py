"""Named parts: TOML files in ``registry/``, each with parameters and a body that replaces a table with ``use``.

``"${name}"`` in the body stands for a parameter. ``parts_expand`` puts parts in place. A part for other inputs than
vectors declares the shape that it was made for, such as ``input = [3, 32, 32]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path as FilePath

from composer.blueprint.schema import SLUG_RULE, is_slug
from composer.blueprint.syntax.nodes import Node, plain, show_path
from composer.blueprint.syntax.problems import BlueprintError, Problem, problem
from composer.blueprint.syntax.read import parse_tree
from composer.networks.blocks.base import MAX_WIDTH
from composer.spec import plugins
from composer.spec.package_files import registry_root
from composer.spec.plugins import Plugin
from composer.spec.shape import Shape
from composer.spec.wording import describe, suggestion

FORMAT = 1
"""The format of part files that this composer reads."""

_TEXTS = ("family", "description", "source")
_HEADER = ("part", *_TEXTS, "input", "parameters")

TABLES = ("suites", "references")
"""The registry's folders of tables, which are not parts: environments/suites and studies/compare read them."""


@dataclass(frozen=True)
class Part:
    """A named part: its family, its parameters with their defaults, its body."""

    name: str
    family: str
    description: str
    source: str
    file: str
    parameters: Mapping[str, Node]
    body: Node
    input: Shape | None = None
    """The shape that it was made for, where declared."""
    plugin: str | None = None
    """The plug-in that ships it; None for composer itself."""


def is_part(tree: Node) -> bool:
    """Whether a file is meant to be a part, not a blueprint."""
    return "blueprint" not in tree.value and ("part" in tree.value or "family" in tree.value)


def parts() -> dict[str, Part]:
    """The parts of composer and of the plug-ins loaded so far, by name.

    Raises BlueprintError for a bad part of composer. Bad parts of a plug-in are reported to blueprints that require it.
    """
    found = dict(read_parts(registry_root()))
    for plugin in plugins.loaded():
        with suppress(BlueprintError):
            found |= plugin_parts(plugin)
    return dict(sorted(found.items()))


@cache
def read_parts(root: FilePath) -> Mapping[str, Part]:
    """All parts below ``root`` by name; raises BlueprintError with all problems of all of them."""
    return _parts_in(root, root.name)


@cache
def plugin_parts(plugin: Plugin) -> Mapping[str, Part]:
    """The parts of a plug-in, ``NAMESPACE/NAME`` for the file ``NAME.toml``; raises BlueprintError."""
    if not plugin.package:
        return {}
    found = _parts_in(resources.files(plugin.package) / "registry", f"{plugin.package}/registry")
    names = {part.name: f"{plugin.namespace}/{part.name}" for part in found.values()}
    return {names[key]: replace(part, name=names[key], plugin=plugin.distribution) for key, part in found.items()}


def installed_problems() -> list[str]:
    """Load every installed plug-in; a line for each that does not work."""
    problems = [str(error) for error in plugins.load_installed()]
    for plugin in plugins.loaded():
        try:
            plugin_parts(plugin)
        except BlueprintError as error:
            problems.append(f"the plug-in {plugin.distribution!r} has a bad part: {error.problems[0]}")
    return problems


def _parts_in(folder: Traversable, name: str) -> dict[str, Part]:
    found: dict[str, Part] = {}
    problems: list[Problem] = []
    for file, entry in _toml_files(folder, name):
        try:
            part = part_of(parse_tree(entry.read_bytes(), file), entry.name.removesuffix(".toml"), file)
        except BlueprintError as error:
            problems.extend(error.problems)
            continue
        if part.name in found:
            problems.append(problem(part.body.key, "", f"{found[part.name].file} is a part of that name already"))
        found[part.name] = part
    if problems:
        raise BlueprintError(problems)
    return dict(sorted(found.items()))


def _toml_files(folder: Traversable, name: str) -> Iterator[tuple[str, Traversable]]:
    """Part files below a folder, which need not exist, with their names in messages."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name) if folder.is_dir() else ():
        if entry.name.endswith(".toml"):
            yield f"{name}/{entry.name}", entry
        elif entry.name not in TABLES:
            yield from _toml_files(entry, f"{name}/{entry.name}")


def part_of(tree: Node, name: str, file: str) -> Part:
    """The part in the tree of a ``file``; raises BlueprintError with all problems."""
    problems = [*_header_problems(tree)]
    if not is_slug(name):
        problems.append(problem(tree.at, "", f"the name of a part: {SLUG_RULE}"))
    if problems:
        raise BlueprintError(problems)
    family, description, source = (str(tree.value[name].value) for name in _TEXTS)
    parameters = tree.value["parameters"].value if "parameters" in tree.value else {}
    shape = tuple(plain(tree.value["input"])) if "input" in tree.value else None
    return Part(name, family, description, source, file, parameters, tree.value[family], shape)


def _header_problems(tree: Node) -> Iterator[Problem]:
    header: Mapping[str, Node] = tree.value
    version = header["part"].value if "part" in header else None
    if version != FORMAT or isinstance(version, bool | float):
        yield problem(header.get("part", tree).at, "part", f"a part begins with part = {FORMAT}, its format")
    for name in _TEXTS:
        node = header.get(name, tree)
        if not isinstance(node.value, str):
            yield problem(node.at, name, f"a part needs the string {name!r}")
    shape = header.get("input")
    if shape and not _is_shape(plain(shape)):
        yield problem(shape.at, "input", "expected a shape such as [3, 32, 32]")
    parameters = header.get("parameters")
    if parameters and not parameters.is_table:
        yield problem(parameters.at, "parameters", f"expected table, got {describe(parameters.value)}")
    family = header["family"].value if "family" in header else None
    if isinstance(family, str):
        body = header.get(family)
        if family in _HEADER or body is None or not isinstance(body.value, dict | list):
            yield problem(header["family"].at, "family", f"the body, a table or a list named {family!r}, is absent")
    for name, node in header.items():
        if name not in _HEADER and name != family:
            hint = suggestion(name, {*_HEADER, family} if isinstance(family, str) else _HEADER)
            yield problem(node.key, show_path((name,)), "unknown key", hint.removeprefix("; "))


def _is_shape(value: object) -> bool:
    is_size = [type(size) is int and 0 < size <= MAX_WIDTH for size in value] if isinstance(value, list) else []
    return bool(is_size) and all(is_size)
