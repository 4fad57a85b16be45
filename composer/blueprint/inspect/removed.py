"""What a blueprint does not inherit, for ``show`` and ``diff``. Tests: tests/blueprint/test_removal.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from composer.blueprint.load import Loaded
from composer.spec.quantities import columns


def removed_json(loaded: Loaded) -> list[dict[str, Any]]:
    """Each removal with its place, in order; ``set_anew`` where another value is there instead."""
    return [
        {
            "key": each.key,
            "file": each.at.file,
            "line": each.at.line,
            "column": each.at.column,
            "notes": list(each.at.notes),
            "set_anew": isinstance(each.path[-1], str) and loaded.tree.get(each.path) is not None,
        }
        for each in loaded.removals
    ]


def removed_text(removed: Sequence[dict[str, Any]], indent: str = "  ") -> list[str]:
    """A line for each removal: its key and its place."""
    return columns(list(_rows(removed, indent))) if removed else []


def _rows(removed: Sequence[dict[str, Any]], indent: str) -> Iterator[tuple[str, ...]]:
    for one in removed:
        notes = "".join(f" ({note})" for note in [*one["notes"], *(["set anew"] if one["set_anew"] else [])])
        yield f"{indent}{one['key']}", f"{one['file']}:{one['line']}:{one['column']}{notes}"
