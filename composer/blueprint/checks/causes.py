"""Say which override, variant or child of a parent a problem follows from, and where the inherited value stands.

A problem follows from a layer if it is gone without that layer, and no other problem comes instead. The lines of the
layer are then left out one by one. Tests: tests/errors/test_causes.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from composer.blueprint.checks.removed import REMOVED
from composer.blueprint.syntax.compose import Written
from composer.blueprint.syntax.nodes import Node, Origin, read_path, show_path, walk
from composer.blueprint.syntax.overrides import COMMAND_LINE, Override
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import Problem
from composer.blueprint.syntax.variants import AND
from composer.spec.package_files import blueprints_root
from composer.spec.wording import shorten, written

MAX_LINES = 16
"""Most lines of a layer that are left out one by one, each with a check of the rest."""
MAX_VALUES = 2_000
"""Most values of files for which causes are searched: several times a usual blueprint."""
APART = ("extends", "name", "description", "variants", "blueprint", "values", "requires", "remove", "with")
"""Keys of a file that change no other value by themselves, or cannot be left out alone."""


Check = Callable[[Written], tuple[list[Problem], Node | None]]
"""From a composition to its problems, and its tree where there is one; never raises BlueprintError."""


class _Line(NamedTuple):
    """One line of a layer."""

    label: str
    path: Path
    without: Written


def with_causes(problems: Sequence[Problem], whole: Written, check: Check) -> list[Problem]:
    """The problems, each with the line of an override, a variant or a child from which it follows."""
    found = list(problems)
    if sum(1 for tree in whole.trees for _ in walk(tree)) > MAX_VALUES:
        return found
    waiting = {each for each in found if REMOVED not in each.message}
    for below, lines, is_own in _layers(whole):
        if not waiting:
            break
        remaining, root = check(below)
        own = {each for each in waiting if is_own(each)}
        waiting -= own
        causes = {each: _inherited(each, root) for each in own}
        gone = waiting.difference(remaining)
        if gone and {*remaining} <= {*problems}:
            causes |= _blamed(problems, gone, list(lines)[:MAX_LINES], root, check)
            waiting -= causes.keys()
        found = [replace(each, cause=causes.get(each, each.cause)) for each in found]
    return found


def _layers(whole: Written) -> Iterator[tuple[Written, Iterator[_Line], Callable[[Problem], bool]]]:
    """The newest layer first: what is below it, its lines, and whether a problem stands in it."""
    if whole.changes:
        below = replace(whole, changes=())
        yield below, _overrides(whole), lambda each: each.file == COMMAND_LINE
        whole = below
    if whole.variant is not None:
        below = replace(whole, variant=None)
        yield below, _variants(whole), lambda each: "(variant " in each.message
        whole = below
    if len(whole.trees) > 1:
        child = whole.trees[-1]
        below = replace(whole, trees=whole.trees[:-1])
        yield below, _entries(whole, child, ()), lambda each: each.file == child.at.file


def _blamed(
    problems: Sequence[Problem], gone: set[Problem], lines: Sequence[_Line], root: Node | None, check: Check
) -> dict[Problem, str]:
    """For problems of ``gone``, the first line without which they are gone too."""
    causes: dict[Problem, str] = {}
    for line in lines:
        left = check(line.without)[0] if len(lines) > 1 else []
        if {*left} <= {*problems}:
            stood = _standing(root.get(line.path) if root else None)
            told = f"because of {line.label}" + (f"; {stood}" if stood else "")
            causes = {each: told for each in gone if each not in left} | causes
        if len(causes) == len(gone):
            break
    return causes


def _inherited(found: Problem, root: Node | None) -> str:
    """Where the value stands that a wrong one replaces; empty where there is none."""
    path = read_path(found.path) or ()
    # An entry of a list has nothing to do with the one at its index in a list that the whole list replaces.
    is_entry = any(isinstance(step, int) for step in path)
    node = root.get(path) if root and path and not is_entry else None
    return "" if node is None or _is_at(node, found) else _standing(node)


def _is_at(node: Node, found: Problem) -> bool:
    return any((at.file, at.line, at.column) == (found.file, found.line, found.column) for at in (node.at, node.key))


def _standing(node: Node | None) -> str:
    """``b.toml:39:13 has 1000``; empty for a table or a list."""
    if node is None or isinstance(node.value, dict | list):
        return ""
    return f"{_place(node.at)} has {written(node.value)}"


def _place(at: Origin) -> str:
    """Where a value stands; a shipped blueprint by its name, which is shorter than its path."""
    shipped = f"{blueprints_root()}{os.sep}"
    return f"{at.file.removeprefix(shipped)}:{at.line}:{at.column}"


def _overrides(whole: Written) -> Iterator[_Line]:
    for index, change in enumerate(whole.changes):
        origin = change.node.key if isinstance(change, Override) else change.at
        text = origin.notes[0].removeprefix("override ").strip('"') if origin.notes else show_path(change.path)
        rest = [each for number, each in enumerate(whole.changes) if number != index]
        yield _Line(f"override {origin.line}: {text}", change.path, replace(whole, changes=tuple(rest)))


def _variants(whole: Written) -> Iterator[_Line]:
    tables = whole.trees[-1].get(("variants",))
    for name in (whole.variant or "").split(AND):
        table = tables.child(name) if tables else None
        if table is not None:
            yield from _entries(whole, table, ("variants", name))


def _entries(whole: Written, table: Node, at: Path) -> Iterator[_Line]:
    """The entries of a table of the newest file, and those of its tables."""
    for name, child in table.children():
        inner = [*child.children()] if child.is_table and not {"kind", "use"} & child.value.keys() else []
        paths: list[tuple[Path, Node]] = [((name, key), node) for key, node in inner] or [((name,), child)]
        for path, node in paths:
            if name in APART:
                continue
            value = "" if isinstance(node.value, dict | list) else f" = {written(node.value)}"
            tree = _left_out(whole.trees[-1], (*at, *path))
            label = f"{_place(node.key)}: {show_path(path)}{value}"
            yield _Line(shorten(label, 120), path, replace(whole, trees=(*whole.trees[:-1], tree)))


def _left_out(node: Node, path: Path) -> Node:
    """The tree without the entry at ``path``, and without tables that are empty then."""
    step, below = path[0], path[1:]
    children = dict(node.children())
    inner = _left_out(children[step], below) if below else None
    if inner is not None and inner.value:
        return node.rebuilt(children | {step: inner})
    return node.rebuilt({name: child for name, child in children.items() if name != step})
