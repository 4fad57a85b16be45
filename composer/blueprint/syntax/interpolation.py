"""References: ``"${values.width}"`` is replaced by the value at that absolute path of the blueprint.

The syntax is a subset of OmegaConf's: no resolvers, no relative paths, no references inside of longer strings. The
value keeps its type and its origin, so that a message points at the line that has to change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from composer.blueprint.syntax.nodes import Node, read_path, show_path, walk, with_note
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import BlueprintError, Problem, problem
from composer.spec.wording import near, quote

MAX_VALUES = 20_000
"""Most values of a blueprint after interpolation, and after expansion of its parts."""

MAX_HINTS = 20
"""Most absent or unused values for which a near name is looked up."""
MAX_DEPTH = 64
"""Deepest nesting of tables and references on the way to a scalar."""

_MENTIONED = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_WHOLE = re.compile(r"\$\{([A-Za-z0-9_.\[\]-]+)\}")


def reference(node: Node) -> Path | None:
    """The path in a node's ``${...}``, or None for any other value."""
    match = _WHOLE.fullmatch(node.value) if isinstance(node.value, str) else None
    return read_path(match.group(1)) if match else None


def is_marked(node: Node) -> bool:
    """Whether a string contains ``${``, well formed or not."""
    return isinstance(node.value, str) and "${" in node.value


def interpolate(root: Node, budget: Budget | None = None) -> tuple[Node, dict[Path, Problem], set[Path]]:
    """The tree with every ``${...}`` replaced, the problems of bad references by path, and paths that depend on these.

    A reference to a bad reference has no problem of its own, and no value.
    """
    work = _Interpolation(root, budget or Budget())
    return work.replaced((), root, (), 0), work.problems, work.broken


def references(root: Node) -> Iterator[tuple[Path, Path]]:
    """Every reference: its own path and the path that it names."""
    for path, node in walk(root):
        target = reference(node)
        if target:
            yield path, target


def mentioned(root: Node) -> Iterator[Path]:
    """Paths that occur in malformed references."""
    for _, node in walk(root):
        if is_marked(node) and reference(node) is None:
            for match in _MENTIONED.finditer(node.value):
                yield tuple(match.group().split("."))


def malformed(path: Path, node: Node, example: str = "${values.width}") -> Problem:
    """The problem of a string that contains ``${`` but is not a reference."""
    if re.search(r"\$\{[^}]*:", node.value):
        # Do not echo the string: it may name a secret.
        message = "no resolver is available here; ${...} names a value of this blueprint"
        return problem(node.at, show_path(path), message)
    message = f"${{...}} stands for a whole value, as in {example}; got {quote(node.value)}"
    return problem(node.at, show_path(path), message)


def through(value: Node, by: Node) -> Node:
    """``value`` with a note of the reference ``by`` that named it."""
    return with_note(value, f"through {by.value} at {by.at.file}:{by.at.line}:{by.at.column}")


class Budget:
    """A limit on the number of values, so that a few lines that multiply each other cannot fill the memory."""

    def __init__(self) -> None:
        self.left = MAX_VALUES

    @property
    def spent(self) -> int:
        """Values counted so far."""
        return MAX_VALUES - self.left

    def spend(self, node: Node, path: Path) -> None:
        """Count one value; raises BlueprintError at ``node`` where there are too many."""
        self.left -= 1
        if self.left < 0:
            message = f"the blueprint grows beyond {MAX_VALUES:,} values here"
            raise BlueprintError([problem(node.at, show_path(path), message)])


class _Interpolation:
    def __init__(self, root: Node, budget: Budget) -> None:
        self.root = root
        self.problems: dict[Path, Problem] = {}
        self.broken: set[Path] = set()
        self._budget = budget

    @cached_property
    def _names(self) -> dict[Path, str]:
        return {path: show_path(path) for path, _ in walk(self.root)}

    def replaced(self, path: Path, node: Node, trail: tuple[Path, ...], depth: int) -> Node:
        """``node`` with all references in it replaced; ``trail`` holds the references that led here."""
        self._budget.spend(node, path)
        if depth > MAX_DEPTH:
            raise BlueprintError([problem(node.at, show_path(path), f"references lead deeper than {MAX_DEPTH} values")])
        if is_marked(node):
            return self._value(path, node, trail, depth)
        return node.rebuilt(
            {step: self.replaced((*path, step), child, trail, depth + 1) for step, child in node.children()}
        )

    def _value(self, path: Path, node: Node, trail: tuple[Path, ...], depth: int) -> Node:
        target = reference(node)
        if target is None:
            self.problems[path] = malformed(path, node)
            return node
        if path in trail:
            loop = (*trail[trail.index(path) :], path)
            self.problems[path] = problem(
                node.at, show_path(path), f"interpolation loop: {' → '.join(show_path(step) for step in loop)}"
            )
            return node
        found = self.root.get(target)
        if found is None:
            self.problems[path] = self._absent(path, node, target)
            return node
        whole = self.replaced(target, found, (*trail, path), depth + 1)
        if any(is_marked(inner) for _, inner in walk(whole)):
            self.broken.add(path)
        return replace(through(whole, node), key=node.key)

    def _absent(self, path: Path, node: Node, target: Path) -> Problem:
        name = show_path(target)
        around = [target[:length] for length in range(len(target) + 1)]
        is_told = len(self.problems) < MAX_HINTS
        meant = near(name, (shown for at, shown in self._names.items() if at not in around)) if is_told else None
        hint = f"did you mean '{meant}'?" if meant else ""
        return problem(node.at, show_path(path), f"there is no value {name!r}", hint)
