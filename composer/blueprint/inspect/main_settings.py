"""The settings of a run that a table of runs shows: what was written for it, a part or a kind as one value.

Tests: tests/blueprint/inspect/test_main_settings.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from composer.blueprint.inspect.as_written import HEADER, written_table
from composer.blueprint.inspect.call_text import call_text, callee
from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import NOT_IN_AGENT, resolved
from composer.blueprint.syntax.compose import Written
from composer.blueprint.syntax.nodes import show_path
from composer.blueprint.syntax.positions import Path

MOST: Final = 24
"""Settings that are shown, with the one that says where the others are."""
OTHERS: Final = "others"
REMOVED: Final = "removed"


def main_settings(blueprint: Blueprint) -> dict[str, str]:
    """Settings by key, with their values as text; at most ``MOST``.

    First what every run has: algorithm, environment and its task, seeds, length. Then what variants and overrides
    change, then what the blueprint's file writes differently from its parent: networks first, and last what makes
    no other agent. The final one, ``others``, says where all others are, and how many of these are left out.
    """
    chosen = _always(blueprint)
    own = _own(blueprint)
    for each in (_changed(blueprint), {key: own[key] for key in sorted(own, key=_rank)}):
        chosen |= {key: text for key, text in each.items() if key not in chosen}
    left = max(0, len(chosen) - (MOST - 1))
    more = f"; {left} that are written as well are left out here" if left else ""
    shown = dict(list(chosen.items())[: MOST - 1])
    return shown | {OTHERS: f"artifact blueprint.toml has every setting{more}"}


def _rank(key: str) -> int:
    section = key.partition(".")[0]
    return 0 if section == "networks" else 2 if section in NOT_IN_AGENT else 1


def _always(blueprint: Blueprint) -> dict[str, str]:
    environment = blueprint.environment
    task = {} if not environment.task_key else {f"environment.{environment.task_key}": environment.title}
    return {
        "algorithm.kind": blueprint.algorithm.kind,
        "environment.kind": environment.kind,
        **task,
        "seeds": call_text(list(blueprint.seeds)),
        "training.env_steps": call_text(blueprint.training.env_steps),
    }


def _changed(blueprint: Blueprint) -> dict[str, str]:
    """What variants and overrides set otherwise than the file."""
    written: Written | None = blueprint.derived.get("written")
    if written is None or not (written.changes or written.variant):
        return {}
    return _difference(written_table(replace(written, changes=(), variant=None)), written_table(written))


def _own(blueprint: Blueprint) -> dict[str, str]:
    """What the blueprint writes otherwise than the parent of its file; all of it without one."""
    written: Written | None = blueprint.derived.get("written")
    if written is None:
        return _entries(resolved(blueprint))
    if len(written.trees) == 1:
        return _entries(written_table(written))
    parent = replace(written, trees=written.trees[:-1], changes=(), variant=None)
    return _difference(written_table(parent), written_table(written))


def _difference(base: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, str]:
    before, now = _entries(base), _entries(table)
    found = {key: text for key, text in now.items() if before.get(key) != text}
    return found | {key: REMOVED for key in before if key not in now}


def _entries(table: Mapping[str, Any]) -> dict[str, str]:
    return {
        show_path(path): value if isinstance(value, str) else call_text(value)
        for path, value in _walk((), table)
        if path[0] not in HEADER
    }


def _walk(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    """Sections key by key, networks of several parts part by part; everything below is one value."""
    is_network = path[:1] == ("networks",) and callee(value) is None
    if isinstance(value, Mapping) and (len(path) < 2 or (len(path) == 2 and is_network)):
        for key, item in value.items():
            yield from _walk((*path, str(key)), item)
    else:
        yield path, value
