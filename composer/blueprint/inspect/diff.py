"""The difference of two blueprints: what was written, resolved keys, parameters, operations and memory.

Tests: tests/blueprint/test_diff.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from composer.blueprint.checks.check import is_known
from composer.blueprint.forecast.flops import update_flops
from composer.blueprint.forecast.memory import forecast
from composer.blueprint.inspect.as_written import ABSENT, Change, changes, side
from composer.blueprint.inspect.removed import removed_json, removed_text
from composer.blueprint.load import Loaded
from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import Scalar, diff
from composer.blueprint.syntax.write import toml_value
from composer.spec.quantities import bytes_text, columns, counted, scaled

Pair = tuple[int | None, int | None]
"""A quantity of the left and of the right blueprint; None for a network that one does not have."""


def diff_json(ours: Loaded, theirs: Loaded) -> dict[str, Any]:
    """What was written differently, each differing key with both values, what one removes, and both of every size.

    Values are null where absent; ``written`` has values of TOML types, as files have them.

    Parameters count all copies of one seed; operations and memory count all seeds. They are null where an environment
    is not known until training.
    """
    left, right = ours.blueprint, theirs.blueprint
    keys = {
        "written": [_written(one) for one in changes(side(left), side(right))],
        "differences": [{"key": found.key, "left": found.left, "right": found.right} for found in diff(left, right)],
        "removed": _removed(ours, theirs),
    }
    if not (is_known(left) and is_known(right)):
        return {**keys, "parameters": None, "update_flops": None, "memory_bytes": None}
    return {
        **keys,
        "parameters": {role: _table(pair) for role, pair in _parameters(left, right).items()},
        "update_flops": _table((update_flops(left), update_flops(right))),
        "memory_bytes": _table((forecast(left).total, forecast(right).total)),
    }


def diff_text(ours: Loaded, theirs: Loaded, full: bool = False) -> str:
    """A line for each thing that was written differently, ``key: left → right``; then removals and sizes that change.

    With ``full`` a line for each resolved key. An absent value is ``-``.
    """
    left, right = ours.blueprint, theirs.blueprint
    found, written = diff(left, right), changes(side(left), side(right))
    if not found:
        return "no difference"
    if full or not written:
        lines = [f"{one.key}: {_side(one.left)} → {_side(one.right)}" for one in found]
    else:
        lines = [str(one) for one in written]
        more = len(found) - len(written)
        lines += ["", f"{counted(len(found), 'resolved key')} differ: --full lists them"] if more > 0 else []
    for whose, removed in _removed(ours, theirs).items():
        lines += ["", f"removed on the {whose}", *removed_text(removed)] if removed else []
    if not (is_known(left) and is_known(right)):
        return "\n".join([*lines, "", "parameters, operations and memory are not known until training"])
    rows = [
        *(_row(f"{role} parameters", pair, "{:,}".format) for role, pair in _parameters(left, right).items()),
        _row("an update", (update_flops(left), update_flops(right)), lambda flops: scaled(flops, "FLOP")),
        _row("memory", (forecast(left).total, forecast(right).total), bytes_text),
    ]
    changed = [row for row in rows if row]
    sizes = columns(changed, right=(1, 3, 4)) if changed else ["parameters, operations and memory are the same"]
    return "\n".join([*lines, "", *sizes])


def _written(change: Change) -> dict[str, Any]:
    left, right = (None if each is ABSENT else each for each in (change.left, change.right))
    return {"key": change.key, "left": left, "right": right, "text": str(change)}


def _removed(ours: Loaded, theirs: Loaded) -> dict[str, list[dict[str, Any]]]:
    """What the one removes and the other does not."""
    left, right = removed_json(ours), removed_json(theirs)
    return {
        "left": [one for one in left if one not in right],
        "right": [one for one in right if one not in left],
    }


def _parameters(left: Blueprint, right: Blueprint) -> dict[str, Pair]:
    ours, theirs = _counts(left), _counts(right)
    return {role: (ours.get(role), theirs.get(role)) for role in {**ours, **theirs}}


def _counts(blueprint: Blueprint) -> Mapping[str, int]:
    return {
        role: outline.count() * blueprint.networks[role].copies for role, outline in blueprint.sound_outlines.items()
    }


def _table(pair: Pair) -> dict[str, int | None]:
    left, right = pair
    return {"left": left, "right": right, "change": (right or 0) - (left or 0)}


def _row(name: str, pair: Pair, written: Callable[[int], str]) -> tuple[str, ...]:
    """A row of the table of sizes; empty where the size does not change."""
    left, right = pair
    if left == right:
        return ()
    share = f"{100 * ((right or 0) - left) / left:+.1f} %" if left else ""
    before, after = ("-" if side is None else written(side) for side in pair)
    return name, before, "→", after, share


def _side(value: Scalar | None) -> str:
    return "-" if value is None else toml_value(value)
