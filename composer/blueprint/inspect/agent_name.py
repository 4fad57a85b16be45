"""The name of an agent: equal for runs that train the same agent, whatever their seeds and tasks.

Tests: tests/blueprint/test_agent_name.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from composer.blueprint.checks.form import validate
from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import NOT_IN_AGENT, agent_digest
from composer.blueprint.syntax.compose import Written
from composer.blueprint.syntax.nodes import Node, plain, replaces, show_path
from composer.blueprint.syntax.notation import UNDER
from composer.blueprint.syntax.overrides import TILDE, Override
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import BlueprintError
from composer.blueprint.syntax.removal import Removal
from composer.blueprint.syntax.write import toml_value

LONGEST: Final = 100
"""Characters of the settings in a name."""

Change = Override | Removal


def agent_name(blueprint: Blueprint, variant: str | None) -> str:
    """``sac_simba@small [algorithm.batch_size=128]``: blueprint, variants, and the overrides that change the agent.

    Seeds, the task, checkpoints, tracking and compute settings do not; nor does an override that sets what holds
    already. A blueprint that was changed in Python has no overrides: ``agent_digest`` tells it from others.
    """
    return plain_name(blueprint.name, variant) + own_settings(blueprint)


def fork_name(origin: str, step: int, blueprint: Blueprint) -> str:
    """``sac_simba fork@30000 [algorithm.n_step=3]``: the agent ``origin`` until this step, then with what changes."""
    return f"{origin} fork@{step}{own_settings(blueprint)}"


def plain_name(name: str, variant: str | None) -> str:
    """``sac_simba@small``: a blueprint's name with its variants."""
    return f"{name}{UNDER}{variant}" if variant else name


def own_settings(blueprint: Blueprint) -> str:
    """`` [algorithm.batch_size=128]``: the overrides that change the agent; empty where none does."""
    written: Written | None = blueprint.derived.get("written")
    task = ("environment", blueprint.environment.task_key)
    settings = (
        [] if written is None else [text for each in _effective(blueprint, written) for text in _texts(each, task)]
    )
    return f" [{_shortened(settings, blueprint)}]" if settings else ""


def _effective(blueprint: Blueprint, written: Written) -> list[Change]:
    """The overrides without which it would be another agent; one that is required to make a blueprint is kept."""
    kept = [each for each in written.changes if not _is_aside(blueprint, each.path)]
    whole = agent_digest(blueprint)
    for each in reversed(kept[:]):
        others = [other for other in kept if other is not each]
        aside = [other for other in written.changes if other not in kept]
        if _digest(replace(written, changes=(*aside, *others))) == whole:
            kept = others
    return kept


def _is_aside(blueprint: Blueprint, path: Path) -> bool:
    task = blueprint.environment.task_key
    return path[0] in NOT_IN_AGENT or path in (("replay", "storage"), ("environment", task))


def _digest(written: Written) -> str | None:
    try:
        composed = written.composed()
    except BlueprintError:
        return None
    found, _ = validate(composed.root, composed.skipped, Blueprint)
    return None if found is None else agent_digest(found)


def _texts(change: Change, task: Path) -> Iterator[str]:
    """A change as it is written on the command line, without the task."""
    if isinstance(change, Removal):
        yield f"{TILDE}{show_path(change.path)}"
    else:
        entries = dict(_entries(change.path, change.node))
        yield from (f"{show_path(at)}={toml_value(plain(node))}" for at, node in entries.items() if at != task)


def _entries(path: Path, node: Node) -> Iterator[tuple[Path, Node]]:
    """What an override sets: the entries of a table that merges with the one below it, and of an environment."""
    if node.is_table and node.value and (path == ("environment",) or not replaces(node)):
        for name, child in node.value.items():
            yield from _entries((*path, name), child)
    else:
        yield path, node


def _shortened(settings: Sequence[str], blueprint: Blueprint) -> str:
    """The settings in order of their keys; of too many the first ones, and a mark of all."""
    settings = sorted(settings)
    shown = ", ".join(settings)
    if len(shown) <= LONGEST:
        return shown
    fitting = [each for number, each in enumerate(settings) if len(", ".join(settings[: number + 1])) <= LONGEST]
    left = len(settings) - len(fitting)
    first = fitting or [f"{settings[0][:LONGEST]}…"]
    more = f", and {left} more" if fitting else f", and {left - 1} more" if left > 1 else ""
    return f"{', '.join(first)}{more} #{agent_digest(blueprint)[:4]}"
