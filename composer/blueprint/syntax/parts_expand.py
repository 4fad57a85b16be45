"""``use``: replace the tables that name a part by its body. Origins point at the use and at the part's own line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from composer.blueprint.syntax.interpolation import Budget, is_marked, malformed, reference, through
from composer.blueprint.syntax.nodes import Node, Origin, show_path
from composer.blueprint.syntax.parts import Part, parts
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import BlueprintError, Problem, problem
from composer.spec import plugins
from composer.spec.family import FAMILIES
from composer.spec.wording import describe, listing, near, quote, spelled, suggestion

MAX_USES = 16
"""Deepest nesting of parts in parts."""
MAX_STEPS = 64
"""Longest path of an expanded blueprint, far below Python's limit of recursion."""


def expand(
    root: Node, known: Mapping[str, Part] | None = None, budget: Budget | None = None, required: Collection[str] = ()
) -> tuple[Node, dict[Path, Problem]]:
    """The tree with each ``use`` table replaced by the body of its part, and problems by path.

    ``known`` holds the parts of the plug-ins in ``required``.
    """
    work = _Expansion(parts() if known is None else known, budget or Budget(), required)
    return work.expanded((), root, ()), work.problems


class _Expansion:
    def __init__(self, known: Mapping[str, Part], budget: Budget, required: Collection[str]) -> None:
        self._known, self._required = known, required
        self.problems: dict[Path, Problem] = {}
        self.budget = budget

    def expanded(self, path: Path, node: Node, within: tuple[str, ...]) -> Node:
        self.budget.spend(node, path)
        if len(path) > MAX_STEPS:
            raise BlueprintError([problem(node.at, show_path(path), f"parts nest deeper than {MAX_STEPS} tables")])
        if node.is_table and "use" in node.value:
            return self._use(path, node, within)
        return node.rebuilt({step: self.expanded((*path, step), child, within) for step, child in node.children()})

    def _use(self, path: Path, node: Node, within: tuple[str, ...]) -> Node:
        part = self._part(path, node, within)
        if part is None:
            return node
        use: Origin = node.value["use"].at
        values = {name: _moved(use, default, part) for name, default in part.parameters.items()}
        for name, child in node.value.items():
            if name in values:
                # Arguments are expanded outside of the part: an argument may use the same part again.
                values[name] = self.expanded((*path, name), child, within)
            elif name != "use":
                self.report((*path, name), child.key, *unknown_parameter(name, part))
        body, problems = bind(part, values, path, self.budget, use)
        self.problems |= problems
        return self.expanded(path, replace(body, key=node.key), (*within, part.name))

    def _part(self, path: Path, node: Node, within: tuple[str, ...]) -> Part | None:
        use, at = node.value["use"], (*path, "use")
        name = use.value
        if not isinstance(name, str):
            self.report(at, use.at, f"expected string, got {describe(name)}")
        elif "kind" in node.value:
            self.report(at, use.key, "a table names either 'kind' or 'use', not both")
        elif name not in self._known:
            self.report(at, use.at, *_no_part(name, self._known, self._required))
        elif name in within:
            self.report(at, use.at, f"parts use each other: {' → '.join([*within[within.index(name) :], name])}")
        elif len(within) >= MAX_USES:
            self.report(at, use.at, f"parts inside parts, more than {MAX_USES} deep")
        else:
            return self._known[name]
        return None

    def report(self, path: Path, origin: Origin, message: str, hint: str = "") -> None:
        self.problems[path] = problem(origin, show_path(path), message, hint)


def bind(
    part: Part, values: Mapping[str, Node], path: Path, budget: Budget, use: Origin | None = None
) -> tuple[Node, dict[Path, Problem]]:
    """The body of a part at ``path`` with ``values`` for its parameters, and the problems of bad references by path.

    With ``use``, the origins of the body are moved there. Without, notes lead from each value to its reference.
    """
    problems: dict[Path, Problem] = {}

    def bound(path: Path, node: Node) -> Node:
        moved = Node(node.value, _seen(use, node.key, part), _seen(use, node.at, part)) if use else node
        budget.spend(moved, path)
        if not is_marked(node):
            return moved.rebuilt({step: bound((*path, step), child) for step, child in node.children()})
        target = reference(node)
        if target is not None and len(target) == 1 and target[0] in values:
            value = values[str(target[0])]
            return replace(value if use else through(value, node), key=moved.key)
        if target is None:
            problems[path] = malformed(path, moved, "${width}")
        else:
            problems[path] = problem(moved.at, show_path(path), *unknown_parameter(show_path(target), part))
        return moved

    return bound(path, part.body), problems


def _no_part(name: str, known: Mapping[str, Part], required: Collection[str]) -> tuple[str, str]:
    """Message and hint for an unknown part: perhaps it is a kind, or belongs to a plug-in that is not required."""
    refused = plugins.refusal(name, required) if plugins.is_namespaced(name) else None
    if refused is not None:
        message, hint = refused
        meant = None if plugins.distributions_of(name) else near(name.partition("/")[2], known)
        return message, f"did you mean {meant!r}?" if meant else hint
    nouns = sorted(family.noun() for family in FAMILIES.values() if name in family.kinds())
    if nouns:
        return f"{name!r} is a kind of {' and of '.join(nouns)}, not a part", f"write kind = {quote(name)}"
    code = "; code is never loaded by name" if "." in name else ""
    return f"no part named {spelled(name)}{code}", suggestion(name, known).removeprefix("; ")


def unknown_parameter(name: str, part: Part) -> tuple[str, str]:
    """Message and hint for an unknown parameter of ``part``."""
    meant = near(name, [*part.parameters, "kind", "use"])
    hint = f"did you mean {meant!r}?" if meant else f"its parameters: {listing(part.parameters)}"
    return f"part {part.name!r} has no parameter {spelled(name)}", hint


def _moved(site: Origin, node: Node, part: Part) -> Node:
    """The default of a parameter with all its origins moved to the use."""
    inner = node.rebuilt({step: _moved(site, child, part) for step, child in node.children()})
    return Node(inner.value, _seen(site, node.key, part), _seen(site, node.at, part))


def _seen(site: Origin, inner: Origin, part: Part) -> Origin:
    """The origin of the use, with the part's own line ``inner`` as a note."""
    return site.noted(f"part {part.name}, {inner.file}:{inner.line}:{inner.column}")
