"""The difference of two blueprints: what was written, resolved keys, parameters, operations and memory.

Tests: tests/blueprint/test_diff.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from composer.blueprint.checks.check import is_known
from composer.blueprint.forecast.flops import update_flops
from composer.blueprint.forecast.memory import forecast
from composer.blueprint.inspect.as_written import ABSENT, Change, changes, of_leaf, side
from composer.blueprint.inspect.diff_rows import Line, Span, diff_rows, plain_text
from composer.blueprint.inspect.removed import removed_json, removed_text
from composer.blueprint.load import Loaded
from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import Difference, diff, digest
from composer.spec.quantities import bytes_text, columns, counted, scaled

Pair = tuple[int | None, int | None]
"""A quantity of the left and of the right blueprint; None for a network that one does not have."""
WIDTH: Final = 100
"""Columns of text that no terminal shows."""


def diff_json(ours: Loaded, theirs: Loaded) -> dict[str, Any]:
    """What was written differently, each differing key with both values, what one removes, and both of every size.

    Values are null where absent; ``written`` has values of TOML types, as files have them. ``same_experiment`` says
    whether nothing that is trained differs.

    Parameters count all copies of one seed; operations and memory count all seeds. They are null where an environment
    is not known until training.
    """
    left, right = ours.blueprint, theirs.blueprint
    keys = {
        "same_experiment": digest(left) == digest(right),
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


def diff_text(ours: Loaded, theirs: Loaded, full: bool = False, width: int = WIDTH) -> str:
    """The lines of ``diff_lines`` without styles."""
    return plain_text(diff_lines(ours, theirs, full, width))


def diff_lines(ours: Loaded, theirs: Loaded, full: bool = False, width: int = WIDTH) -> list[Line]:
    """A line for each thing that was written differently, by table; then removals and sizes that change.

    ``~`` marks what both have, ``-`` and ``+`` what the left and the right one alone has. With ``full`` a line for
    each resolved key. ``width`` is in characters.
    """
    left, right = ours.blueprint, theirs.blueprint
    found, written = diff(left, right), changes(side(left), side(right))
    shown = [*map(of_leaf, found)] if full else written
    is_same = digest(left) == digest(right)
    if not shown:
        return [(Span(f"{_same(ours, theirs)}{_aside(found)}"),)]
    title = (Span(ours.title, "removed"), Span(" → ", "same"), Span(theirs.title, "added"))
    lines: list[Line] = [title, (), *diff_rows(shown, width)]
    more = len(found) - len(written)
    if more > 0 and not full:
        lines += _plain("", f"{counted(len(found), 'resolved key')} differ: --full lists them")
    for whose, removed in _removed(ours, theirs).items():
        lines += _plain("", f"removed on the {whose}", *removed_text(removed)) if removed else []
    lines += _plain("", *_sizes(left, right))
    return lines + _plain("", "both are the same experiment: nothing that is trained differs") if is_same else lines


def _same(ours: Loaded, theirs: Loaded) -> str:
    return f"{ours.title} and {theirs.title} are the same experiment"


def _aside(found: Sequence[Difference]) -> str:
    """The keys that differ and say nothing of what is trained."""
    keys = list(dict.fromkeys(one.key for one in found))
    return f" ({' and '.join(keys)} {'differs' if len(keys) == 1 else 'differ'})" if keys else ""


def _plain(*lines: str) -> list[Line]:
    return [(Span(line),) if line else () for line in lines]


def _sizes(left: Blueprint, right: Blueprint) -> list[str]:
    if not (is_known(left) and is_known(right)):
        return ["parameters, operations and memory are not known until training"]
    rows = [
        *(_row(f"{role} parameters", pair, "{:,}".format) for role, pair in _parameters(left, right).items()),
        _row("an update", (update_flops(left), update_flops(right)), lambda flops: scaled(flops, "FLOP")),
        _row("memory", (forecast(left).total, forecast(right).total), bytes_text),
    ]
    changed = [row for row in rows if row]
    return columns(changed, right=(1, 3, 4)) if changed else ["parameters, operations and memory are the same"]


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
    """A row of the table of sizes; empty where the size does not change, or not in the digits that are shown."""
    before, after = ("-" if size is None else written(size) for size in pair)
    return () if before == after else (name, before, "→", after, _growth(*pair))


def _growth(left: int | None, right: int | None) -> str:
    """``+12.5 %``, ``-0.024 %``, ``x 40``; empty where there was nothing, or nothing is left."""
    if not left or not right:
        return ""
    if right >= 10 * left:
        return f"x {right / left:,.0f}"
    percent = 100 * (right / left - 1)
    return f"{percent:+.1f} %" if abs(percent) >= 1 else f"{percent:+.2g} %"
