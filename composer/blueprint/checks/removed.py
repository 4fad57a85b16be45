"""Say of a problem that it follows from a removal, and where that is. Tests: tests/blueprint/test_removal.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from composer.blueprint.syntax.nodes import Node, read_path
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import Problem
from composer.blueprint.syntax.removal import REFUSED, Removal

REMOVED = "is removed at"
"""Words of a message that names a removal."""


def with_removal(found: Problem, root: Node, removals: Sequence[Removal]) -> Problem:
    """The problem, with the newest removal from which it follows."""
    path = read_path(found.path) or ()
    for each in reversed(removals):
        if _explains(each, found, path, root):
            return replace(found, message=f"{found.message}; {each.key} {REMOVED} {each.at}")
    return found


def _explains(removal: Removal, found: Problem, path: Path, root: Node) -> bool:
    around, last = removal.path[:-1], removal.path[-1]
    if found.message.startswith(REFUSED):
        return False
    if f"'{removal.key}'" in found.message:
        # A reference to what is removed.
        return True
    if path == around:
        # The table or the list lacks an entry: a network, an average, ``kind``.
        return isinstance(last, int) or repr(last) in found.message
    return isinstance(last, str) and removal.covers(path) and root.get(path) is None
