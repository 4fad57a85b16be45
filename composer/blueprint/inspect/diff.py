"""Two blueprints side by side: the keys on which they differ, and what that changes in size, work and memory.

Tests: tests/blueprint/test_diff.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path as FilePath
from typing import Any

from composer.blueprint.forecast.flops import update_flops
from composer.blueprint.forecast.memory import forecast, sound_outlines
from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import Scalar, diff
from composer.blueprint.syntax.write import toml_value
from composer.spec.quantities import bytes_text, columns, scaled

Pair = tuple[int | None, int | None]
"""A quantity on the left and on the right; None where that side does not have it."""


def addressed(text: str) -> tuple[FilePath, str | None]:
    """The blueprint and the variant that ``dmc/sac_simba@small`` names; a file with an ``@`` in its name is itself."""
    path, mark, variant = text.rpartition("@")
    return (FilePath(path), variant) if mark and not FilePath(text).exists() else (FilePath(text), None)


def diff_json(left: Blueprint, right: Blueprint) -> dict[str, Any]:
    """Each differing key with both sides, null where a side does not have it; and both sides of every size.

    Parameters are those of all copies of one seed, operations and memory those of all seeds.
    """
    return {
        "differences": [{"key": found.key, "left": found.left, "right": found.right} for found in diff(left, right)],
        "parameters": {role: _table(pair) for role, pair in _parameters(left, right).items()},
        "update_flops": _table(_update_flops(left, right)),
        "memory_bytes": _table(_memory_bytes(left, right)),
    }


def diff_text(left: Blueprint, right: Blueprint) -> str:
    """A line a key, ``key: ours → theirs`` where ``-`` is an absent side; then the sizes that change."""
    found = diff(left, right)
    if not found:
        return "no difference"
    lines = [f"{one.key}: {_side(one.left)} → {_side(one.right)}" for one in found]
    rows = [
        *(_row(f"{role} parameters", pair, "{:,}".format) for role, pair in _parameters(left, right).items()),
        _row("an update", _update_flops(left, right), lambda flops: scaled(flops, "FLOP")),
        _row("memory", _memory_bytes(left, right), bytes_text),
    ]
    changed = [row for row in rows if row]
    sizes = columns(changed, right=(1, 3, 4)) if changed else ["parameters, operations and memory are the same"]
    return "\n".join([*lines, "", *sizes])


def _parameters(left: Blueprint, right: Blueprint) -> dict[str, Pair]:
    ours, theirs = _counts(left), _counts(right)
    return {
        role: (ours.get(role), theirs.get(role)) for role in [*ours, *(role for role in theirs if role not in ours)]
    }


def _counts(blueprint: Blueprint) -> Mapping[str, int]:
    return {
        role: outline.count() * blueprint.networks[role].copies for role, outline in sound_outlines(blueprint).items()
    }


def _update_flops(left: Blueprint, right: Blueprint) -> Pair:
    return update_flops(left), update_flops(right)


def _memory_bytes(left: Blueprint, right: Blueprint) -> Pair:
    return forecast(left).total, forecast(right).total


def _table(pair: Pair) -> dict[str, int | None]:
    left, right = pair
    return {"left": left, "right": right, "change": (right or 0) - (left or 0)}


def _row(name: str, pair: Pair, written: Callable[[int], str]) -> tuple[str, ...]:
    """A row of the table of sizes, empty where nothing changes."""
    left, right = pair
    if left == right:
        return ()
    share = f"{100 * ((right or 0) - left) / left:+.1f} %" if left else ""
    before, after = ("-" if side is None else written(side) for side in pair)
    return name, before, "→", after, share


def _side(value: Scalar | None) -> str:
    return "-" if value is None else toml_value(value)
