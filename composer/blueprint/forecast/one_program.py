"""Which blueprints can be trained in one program: those that differ in numbers alone.

Imports no torch. Tests: tests/blueprint/test_one_program.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from composer.blueprint.forecast.clock import clock_of
from composer.blueprint.forecast.program_key import structure
from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import resolved


def joined(blueprints: Sequence[Blueprint]) -> Blueprint:
    """The first blueprint with the seeds of all, from which the program is built; seeds may repeat."""
    seeds = tuple(seed for blueprint in blueprints for seed in blueprint.seeds)
    return blueprints[0].model_copy(update={"seeds": seeds})


def obstacle(first: Blueprint, other: Blueprint) -> str | None:
    """Why two blueprints cannot be trained in one program, or None where they can."""
    alone = next((why for blueprint in (first, other) for why in _needs_its_own(blueprint)), None)
    if alone:
        return alone
    key = _first_difference(_common(first), _common(other))
    return None if key is None else f"they differ in {key}, which is part of the program and not a number in it"


def common_key(blueprint: Blueprint) -> str | None:
    """A text that is equal for blueprints without an ``obstacle``; None for one that cannot share a program."""
    if next(_needs_its_own(blueprint), None) is not None:
        return None
    return json.dumps(_common(blueprint), sort_keys=True)


def program_groups(blueprints: Mapping[str, Blueprint], most: int) -> list[list[str]]:
    """Groups of names that can be trained together, at most ``most`` in each, in order."""
    found: list[list[str]] = []
    for name, blueprint in blueprints.items():
        for group in found:
            if len(group) < most and obstacle(blueprints[group[0]], blueprint) is None:
                group.append(name)
                break
        else:
            found.append([name])
    return found


def _needs_its_own(blueprint: Blueprint) -> Iterator[str]:
    """Reasons for which a blueprint cannot share a program with any other."""
    for name, each in blueprint.interventions.items():
        if each.do.changes_structure:
            yield f"interventions.{name} changes what the network is"
        if each.do.needs_twin:
            yield f"interventions.{name} trains a second agent"
    if blueprint.algorithm.assessment is not None:
        yield "it holds updates back while its policies are assessed, each run by its own episodes"
    environment = blueprint.environment
    if environment.stages_differ_by_seed and environment.smaller_batches(blueprint.algorithm.batch_size):
        yield "environment.last_batch is 'keep' where phases may end early: batches differ in size"
    if blueprint.requires:
        yield "plug-ins may keep numbers of their own (requires)"
    if blueprint.compute.compile == "background":
        yield "compute.compile is 'background', which compiles the program of one run"


def _common(blueprint: Blueprint) -> dict[str, Any]:
    """The values that must be equal: those of the program, of the clock and of ``compute``."""
    table = resolved(blueprint)
    found = structure(blueprint)
    found["clock"] = asdict(clock_of(blueprint))
    smaller = blueprint.environment.smaller_batches(blueprint.algorithm.batch_size)
    found["environment"] = {"copies": blueprint.environment.copies_per_seed, "last_batch": [*map(list, smaller)]}
    found["training"] = {"env_steps": blueprint.training.env_steps}
    found["compute"] = table["compute"]
    if blueprint.compute.updates_per_call > 1:
        # All have to make the same number of updates at the same time.
        found["interventions"] = table["interventions"]
        found["replay"] = {"sampling": table["replay"]["sampling"]}
    return found


def _first_difference(ours: Any, theirs: Any, key: str = "") -> str | None:
    """The first key on which two tables differ."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for name in [*ours, *(name for name in theirs if name not in ours)]:
            path = f"{key}.{name}" if key else str(name)
            if (name in ours) != (name in theirs):
                return path
            if found := _first_difference(ours[name], theirs[name], path):
                return found
        return None
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return next((found for at, (a, b) in pairs if (found := _first_difference(a, b, f"{key}[{at}]"))), None)
    return None if type(ours) is type(theirs) and ours == theirs else key
