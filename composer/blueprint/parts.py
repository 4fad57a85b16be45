"""Named parts: compositions in ``registry/``, written in TOML, that stand for a table through ``use``.

A part declares parameters with defaults and a body; ``"${name}"`` in the body stands for a parameter, and for nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path as FilePath

from composer.blueprint.interpolation import Budget, is_marked, malformed, reference
from composer.blueprint.nodes import Node, Origin, show_path
from composer.blueprint.positions import Path
from composer.blueprint.report import BlueprintError, Problem, problem
from composer.blueprint.source import read_tree
from composer.resources import registry_root
from composer.spec import describe, listing, near, suggestion

MAX_DEPTH = 16
"""Parts inside parts inside parts: deepest nesting."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_HEADER = {"part": int, "family": str, "description": str, "source": str, "parameters": dict}


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


@cache
def parts(root: FilePath | None = None) -> Mapping[str, Part]:
    """All parts below ``root`` (the registry that ships with composer) by name; BlueprintError for a bad part file."""
    root = root or registry_root()
    found: dict[str, Part] = {}
    problems: list[Problem] = []
    for path in sorted(root.rglob("*.toml")):
        try:
            part = _read(path, (FilePath(root.name) / path.relative_to(root)).as_posix())
            if part.name in found:
                message = f"there is a part {part.name!r} already: {found[part.name].file}"
                raise BlueprintError([problem(part.body.key, "", message)])
            found[part.name] = part
        except BlueprintError as error:
            problems.extend(error.problems)
    if problems:
        raise BlueprintError(problems)
    return dict(sorted(found.items()))


def _read(path: FilePath, file: str) -> Part:
    tree = read_tree(path, file)
    family = tree.value.get("family")
    body = tree.value.get(family.value) if family and isinstance(family.value, str) else None
    problems = [
        problem(tree.value[name].at if name in tree.value else tree.at, name, f"a part needs {name} ({expected.__name__})")
        for name, expected in _HEADER.items()
        if not isinstance(tree.value[name].value if name in tree.value else None, expected) and name != "parameters"
    ]
    if not problems and tree.value["part"].value != 1:
        problems.append(problem(tree.value["part"].at, "part", "this composer reads parts of format 1"))
    if not problems and (body is None or not isinstance(body.value, dict | list)):
        problems.append(problem(family.at if family else tree.at, "family", "the table named by 'family' is absent"))
    unknown = set(tree.value) - set(_HEADER) - ({family.value} if family and isinstance(family.value, str) else set())
    problems += [problem(tree.value[name].key, name, "unknown key" + suggestion(name, _HEADER)) for name in sorted(unknown)]
    if not _NAME.fullmatch(path.stem):
        problems.append(problem(tree.at, "", "the name of a part: use [a-z0-9._-], 1-64"))
    if problems or body is None:
        raise BlueprintError(problems)
    parameters = tree.value["parameters"].value if "parameters" in tree.value else {}
    texts = (str(tree.value[name].value) for name in ("family", "description", "source"))
    return Part(path.stem, *texts, file, parameters, body)


def expand(root: Node, known: Mapping[str, Part] | None = None) -> tuple[Node, dict[Path, Problem]]:
    """The tree with every ``use`` table replaced by its part, and the problems by the paths of those that could not be."""
    work = _Expansion(known)
    return work.expanded((), root, ()), work.problems


class _Expansion:
    def __init__(self, known: Mapping[str, Part] | None) -> None:
        self._known = known
        self.problems: dict[Path, Problem] = {}
        self._budget = Budget()

    def expanded(self, path: Path, node: Node, within: tuple[str, ...]) -> Node:
        self._budget.spend(node, path)
        if node.is_table and "use" in node.value:
            return self._use(path, node, within)
        if not isinstance(node.value, dict | list):
            return node
        return node.rebuilt({step: self.expanded((*path, step), child, within) for step, child in node.children()})

    def _use(self, path: Path, node: Node, within: tuple[str, ...]) -> Node:
        part = self._part(path, node, within)
        if part is None:
            return node
        arguments = {name: child for name, child in node.value.items() if name != "use"}
        for name, child in arguments.items():
            if name not in part.parameters:
                self.problems[(*path, name)] = self._unknown(path, name, child, part)
        values = {name: replace(default, at=_seen(node.value["use"].at, default.at, part)) for name, default in part.parameters.items()}
        values |= {name: child for name, child in arguments.items() if name in part.parameters}
        body = self._bound(path, part.body, values, node, part)
        return self.expanded(path, replace(body, key=node.key), (*within, part.name))

    def _part(self, path: Path, node: Node, within: tuple[str, ...]) -> Part | None:
        use, at = node.value["use"], (*path, "use")
        name = use.value
        if not isinstance(name, str):
            self.problems[at] = problem(use.at, show_path(at), f"expected string, got {describe(name)}")
            return None
        if "kind" in node.value:
            self.problems[at] = problem(use.key, show_path(at), "a table names either 'kind' or 'use', not both")
            return None
        known = self._known if self._known is not None else parts()
        if name not in known:
            meant = suggestion(name, known).removeprefix("; ")
            message = f"no part named {name[:64]!r}; code is never loaded by name" if "." in name else f"no part named {name[:64]!r}"
            self.problems[at] = problem(use.at, show_path(at), message, meant)
            return None
        if name in within or len(within) >= MAX_DEPTH:
            loop = " → ".join([*within[within.index(name) :], name]) if name in within else f"more than {MAX_DEPTH} deep"
            self.problems[at] = problem(use.at, show_path(at), f"parts use each other: {loop}")
            return None
        return known[name]

    def _unknown(self, path: Path, name: str, child: Node, part: Part) -> Problem:
        meant = near(name, part.parameters)
        hint = f"did you mean {meant!r}?" if meant else f"its parameters are {listing(part.parameters)}"
        return problem(child.key, show_path((*path, name)), f"part {part.name!r} has no parameter {name!r}", hint)

    def _bound(self, path: Path, body: Node, values: Mapping[str, Node], site: Node, part: Part) -> Node:
        """The body with parameters put in, all its origins moved to the place of use."""
        self._budget.spend(site, path)
        use = site.value["use"].at
        key, at = _seen(use, body.key, part), _seen(use, body.at, part)
        if is_marked(body):
            target = reference(body)
            if target is None or len(target) != 1 or target[0] not in values:
                found = malformed(path, body)
                message = found.message if target is None else f"part {part.name!r} has no parameter {show_path(target)!r}"
                self.problems[path] = problem(at, show_path(path), message)
                return replace(body, key=key, at=at)
            return replace(values[str(target[0])], key=key)
        if not isinstance(body.value, dict | list):
            return replace(body, key=key, at=at)
        children = {step: self._bound((*path, step), child, values, site, part) for step, child in body.children()}
        return replace(body.rebuilt(children), key=key, at=at)


def _seen(site: Origin, inner: Origin, part: Part) -> Origin:
    """``inner`` as seen from the place where the part is used: that place first, then the part's own line."""
    return replace(site, notes=(*site.notes, f"part {part.name}, {inner.file}:{inner.line}:{inner.column}"))
