"""A blueprint as a table, as TOML, as flat parameters and as a hash; the difference of two blueprints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.nodes import show_path
from composer.blueprint.syntax.positions import Path
from composer.spec.family import plain_value

Scalar = bool | int | float | str

NOT_IN_DIGEST = ("name", "description", "tracking", "compute")
"""Keys that do not change the experiment, nor its digest; neither does ``replay.storage``."""
NOT_IN_AGENT = (*NOT_IN_DIGEST, "seeds", "checkpoint")
"""Keys that do not make another agent; neither do ``replay.storage`` and the environment's task."""


@dataclass(frozen=True)
class Difference:
    """A key on which two blueprints differ; None on the side without it."""

    key: str
    left: Scalar | None
    right: Scalar | None


def resolved(blueprint: Blueprint) -> dict[str, Any]:
    """The blueprint as a table of TOML types with every default; absent options are left out."""
    table: dict[str, Any] = plain_value(blueprint)
    return table


def dump(blueprint: Blueprint) -> str:
    """The resolved blueprint as TOML, which loads as an equal blueprint."""
    import tomli_w

    return tomli_w.dumps(resolved(blueprint))


def digest(blueprint: Blueprint) -> str:
    """SHA-256, in hexadecimal, of the resolved blueprint as canonical JSON, without the keys of ``NOT_IN_DIGEST``.

    The order of keys does not count, but for that of interventions, in which those fire that are due together.
    """
    return _hash(_settings(blueprint, NOT_IN_DIGEST))


def agent_digest(blueprint: Blueprint) -> str:
    """The same without what does not make another agent: seeds, checkpoints, and the environment's task."""
    table = _settings(blueprint, NOT_IN_AGENT)
    task = blueprint.environment.task_key
    return _hash({**table, "environment": {key: item for key, item in table["environment"].items() if key != task}})


def _settings(blueprint: Blueprint, without: Sequence[str]) -> dict[str, Any]:
    table = {key: value for key, value in resolved(blueprint).items() if key not in without}
    order = [*table["interventions"]]
    if order != sorted(order):
        table["interventions, in order"] = order
    table["replay"] = {key: value for key, value in table["replay"].items() if key != "storage"}
    return table


def _hash(table: Mapping[str, Any]) -> str:
    text = json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def flatten(blueprint: Blueprint) -> dict[str, Scalar]:
    """Every scalar of the resolved blueprint by its path: ``networks.critic.trunk.layers[0].width``."""
    return dict(_leaves(resolved(blueprint), ()))


def diff(left: Blueprint, right: Blueprint) -> list[Difference]:
    """The keys on which two blueprints differ: those of the left in order, then those of the right alone.

    Then empty tables that only one of them has, and last, under the key ``interventions``, the order of those that both
    have, where it differs.
    """
    of_left, of_right = resolved(left), resolved(right)
    found = differences(of_left, of_right)
    ours_empty, theirs_empty = dict(_tables(of_left, ())), dict(_tables(of_right, ()))
    found += [Difference(key, "{}", None) for key, empty in ours_empty.items() if empty and key not in theirs_empty]
    found += [Difference(key, None, "{}") for key, empty in theirs_empty.items() if empty and key not in ours_empty]
    ours = [name for name in left.interventions if name in right.interventions]
    theirs = [name for name in right.interventions if name in left.interventions]
    if ours != theirs:
        found.append(Difference("interventions", ", ".join(ours), ", ".join(theirs)))
    return found


def differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[Difference]:
    """The keys on which two tables of TOML types differ, in the order of ``diff``."""
    ours, theirs = dict(_leaves(left, ())), dict(_leaves(right, ()))
    return [
        Difference(key, ours.get(key), theirs.get(key))
        for key in {**ours, **theirs}
        if key not in ours or key not in theirs or (type(ours[key]), ours[key]) != (type(theirs[key]), theirs[key])
    ]


def _leaves(value: object, path: Path) -> Iterator[tuple[str, Scalar]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list):
        if not value:
            yield show_path(path), "[]"
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    elif isinstance(value, Scalar):
        yield show_path(path), value


def _tables(value: object, path: Path) -> Iterator[tuple[str, bool]]:
    """Every table by its path, and whether it is empty: such a table says something by being there."""
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, Mapping) and path:
        yield show_path(path), not value
    for key, item in inner:
        yield from _tables(item, (*path, key))
