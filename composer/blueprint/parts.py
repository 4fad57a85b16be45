"""Named parts: compositions in ``registry/``, written in TOML, that stand for a table through ``use``.

A part declares parameters with defaults and a body; ``"${name}"`` in the body stands for a parameter, and for nothing
else. ``expand`` puts them in place. Where a block does not take a plain vector, ``input = [3, 32, 32]`` gives the shape
that it was made for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path as FilePath

from composer.blocks.base import MAX_WIDTH
from composer.blueprint.nodes import Node, plain
from composer.blueprint.report import BlueprintError, Problem, problem
from composer.blueprint.schema import SLUG_RULE, is_slug
from composer.blueprint.source import read_tree
from composer.resources import registry_root
from composer.shapes import Shape
from composer.spec import describe, suggestion

FORMAT = 1
"""The format of part files that this composer reads."""

_TEXTS = ("family", "description", "source")
_HEADER = ("part", *_TEXTS, "input", "parameters")

SUITES = "suites"
"""The registry's folder of task sets and tables: data of the environments, not parts (composer.environments.suites)."""


@dataclass(frozen=True)
class Part:
    """One part: what it stands for, its parameters with their defaults, its body."""

    name: str
    family: str
    description: str
    source: str
    file: str
    parameters: Mapping[str, Node]
    body: Node
    input: Shape | None = None
    """The shape that it was made for, where that is said."""


def is_part(tree: Node) -> bool:
    """Whether a file means to be a part rather than a blueprint."""
    return "part" in tree.value and "blueprint" not in tree.value


@cache
def parts(root: FilePath | None = None) -> Mapping[str, Part]:
    """All parts below ``root`` (the registry that ships with composer) by name; BlueprintError for a bad part file."""
    root = root or registry_root()
    found: dict[str, Part] = {}
    problems: list[Problem] = []
    for path in sorted(root.rglob("*.toml")):
        if path.relative_to(root).parts[0] == SUITES:
            continue
        file = (FilePath(root.name) / path.relative_to(root)).as_posix()
        try:
            part = read_part(path, file)
        except BlueprintError as error:
            problems.extend(error.problems)
            continue
        if part.name in found:
            problems.append(problem(part.body.key, "", f"{found[part.name].file} is a part of that name already"))
        found[part.name] = part
    if problems:
        raise BlueprintError(problems)
    return dict(sorted(found.items()))


def read_part(path: FilePath, file: str) -> Part:
    """The part in the file at ``path``; BlueprintError tells everything that keeps it from being one."""
    tree = read_tree(path, file)
    problems = [*_header_problems(tree)]
    if not is_slug(path.stem):
        problems.append(problem(tree.at, "", f"the name of a part: {SLUG_RULE}"))
    if problems:
        raise BlueprintError(problems)
    family, description, source = (str(tree.value[name].value) for name in _TEXTS)
    parameters = tree.value["parameters"].value if "parameters" in tree.value else {}
    shape = tuple(plain(tree.value["input"])) if "input" in tree.value else None
    return Part(path.stem, family, description, source, file, parameters, tree.value[family], shape)


def _header_problems(tree: Node) -> Iterator[Problem]:
    header: Mapping[str, Node] = tree.value
    if "part" not in header or header["part"].value != FORMAT:
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
            yield problem(node.key, name, "unknown key" + suggestion(name, _HEADER))


def _is_shape(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(type(size) is int and 0 < size <= MAX_WIDTH for size in value)
