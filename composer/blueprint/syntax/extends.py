"""``extends``: a blueprint's chain of parents, each named by a path beside its child or by a shipped name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from composer.blueprint.syntax.nodes import Node
from composer.blueprint.syntax.problems import BlueprintError, Problem, problem
from composer.blueprint.syntax.read import read_tree
from composer.spec.package_files import blueprint_files, blueprints_root
from composer.spec.wording import describe, quote, spelled, suggestion

MAX_PARENTS = 16
"""Longest chain of parents."""


def shipped() -> Mapping[str, Path]:
    """The blueprints that ship with composer, by name: ``dmc/sac_simba``."""
    root = blueprints_root()
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in blueprint_files()}


def find_blueprint(path: Path) -> Path:
    """``path``, or the shipped blueprint of that name where there is no such file."""
    # Path.exists would raise for a name that is too long.
    return path if os.path.exists(path) else shipped().get(path.as_posix(), path)


def read_chain(path: Path, file: str | None = None) -> list[Node]:
    """The trees of the file at ``path`` and of its parents, the oldest first.

    ``extends`` is removed from each; a child without a name gets that of its file. A child does not inherit variants:
    those of parents are removed too.
    """
    trees: list[Node] = []
    seen: dict[Path, str] = {}
    current, name = path, file or str(path)
    while True:
        tree = read_tree(current, name)
        seen[_real(current)] = name
        parent = tree.value.get("extends")
        if parent is not None and "name" not in tree.value:
            tree = _named_after_file(tree, parent)
        trees.append(_without(tree, "extends") if not trees else _without(tree, "extends", "variants"))
        if parent is None:
            return trees[::-1]
        current, name = _find(parent, current, name)
        if _real(current) in seen:
            raise BlueprintError([problem(parent.at, "extends", _cycle([*seen.values(), seen[_real(current)]]))])
        if len(seen) > MAX_PARENTS:
            raise BlueprintError([problem(parent.at, "extends", f"more than {MAX_PARENTS} parents in a chain")])


def repeated_names(trees: Sequence[Node]) -> Iterator[Problem]:
    """The warning that a child is called like one of its parents."""
    name = trees[-1].value.get("name")
    for tree in trees[:-1]:
        if name is not None and "name" in tree.value and tree.value["name"].value == name.value:
            message = f"its parent, {tree.at.file}, is called like this too: their runs count as one experiment"
            yield problem(name.key, "name", message, "give it a name of its own")


def _named_after_file(tree: Node, extends: Node) -> Node:
    at = replace(extends.key, notes=(*extends.key.notes, "the name of the file, which gives none itself"))
    return replace(tree, value={**tree.value, "name": Node(Path(tree.at.file).stem, at, at)})


def _without(tree: Node, *keys: str) -> Node:
    return replace(tree, value={name: child for name, child in tree.value.items() if name not in keys})


def _cycle(names: list[str]) -> str:
    last = names[-1]
    loop = names[names.index(last) :]
    return f"{loop[0]!r} extends itself" if len(loop) == 2 else f"inheritance cycle: {' → '.join(loop)}"


def _find(parent: Node, child: Path, child_name: str) -> tuple[Path, str]:
    """The file that ``extends`` names, with its name in messages."""
    reference = parent.value
    if not isinstance(reference, str):
        raise BlueprintError([problem(parent.at, "extends", f"expected string, got {describe(reference)}")])
    if not reference.endswith(".toml"):
        known = shipped()
        if reference not in known:
            meant = suggestion(reference, known).removeprefix("; ")
            raise BlueprintError([problem(parent.at, "extends", f"no blueprint named {spelled(reference)}", meant)])
        return known[reference], str(known[reference])
    if not reference.isprintable():
        raise BlueprintError([problem(parent.at, "extends", f"no such file: {quote(reference)}")])
    relative, folder = Path(reference), child.parent
    inside = _real(folder / relative).is_relative_to(_real(folder))
    if relative.is_absolute() or ".." in relative.parts or not inside:
        raise BlueprintError([problem(parent.at, "extends", "must be in the folder of this file, or below it")])
    if not (folder / relative).is_file():
        raise BlueprintError([problem(parent.at, "extends", f"no such file: {folder / relative}")])
    return folder / relative, str(Path(child_name).parent / relative)


def _real(path: Path) -> Path:
    # Path.resolve would raise on a loop of links.
    return Path(os.path.realpath(path))
