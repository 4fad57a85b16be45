"""Which blueprints can be trained beside each other in one program: those that differ in numbers alone.

Free of torch. Tests: tests/blueprint/test_one_program.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from composer.blueprint.forecast.clock import clock_of
from composer.blueprint.forecast.program_key import structure
from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import resolved


def joined(blueprints: Sequence[Blueprint]) -> Blueprint:
    """The first one with the seeds of all: what the program is built from. Seeds may come in it more than once."""
    seeds = tuple(seed for blueprint in blueprints for seed in blueprint.seeds)
    return blueprints[0].model_copy(update={"seeds": seeds})


def obstacle(first: Blueprint, other: Blueprint) -> str | None:
    """Why two blueprints cannot be trained in one program, in words; None where they can."""
    alone = next((why for blueprint in (first, other) for why in _needs_its_own(blueprint)), None)
    if alone:
        return alone
    key = _parting(_common(first), _common(other))
    return None if key is None else f"they differ in {key}, which is part of the program and not a number in it"


def parties(blueprints: Mapping[str, Blueprint], most: int) -> list[list[str]]:
    """Names of those that are trained together, ``most`` at a time at most, in their order."""
    found: list[list[str]] = []
    for name, blueprint in blueprints.items():
        for party in found:
            if len(party) < most and obstacle(blueprints[party[0]], blueprint) is None:
                party.append(name)
                break
        else:
            found.append([name])
    return found


def _needs_its_own(blueprint: Blueprint) -> Iterator[str]:
    """What stands against any company."""
    for name, each in blueprint.interventions.items():
        if each.do.growth:
            yield f"interventions.{name} changes what the network is"
    if blueprint.requires:
        yield "plug-ins may keep numbers of their own (requires)"
    if blueprint.compute.compile == "background":
        yield "compute.compile is 'background', which compiles the program of one run"


def _common(blueprint: Blueprint) -> dict[str, Any]:
    """What has to be the same: the program, the clock, and what computes."""
    table = resolved(blueprint)
    found = structure(blueprint)
    found["clock"] = asdict(clock_of(blueprint))
    found["environment"] = {"copies": getattr(blueprint.environment, "copies", 1)}
    found["training"] = {"env_steps": blueprint.training.env_steps}
    found["compute"] = table.get("compute", {})
    if blueprint.compute.updates_per_call > 1:
        # They have to ask for as many updates at the same time.
        found["interventions"] = table.get("interventions", {})
        found["replay"] = {"sampling": table.get("replay", {}).get("sampling")}
    return found


def _parting(ours: Any, theirs: Any, key: str = "") -> str | None:
    """The first key on which two tables differ."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for name in [*ours, *(name for name in theirs if name not in ours)]:
            path = f"{key}.{name}" if key else str(name)
            if (name in ours) != (name in theirs):
                return path
            if found := _parting(ours[name], theirs[name], path):
                return found
        return None
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return next((found for at, (a, b) in pairs if (found := _parting(a, b, f"{key}[{at}]"))), None)
    return None if type(ours) is type(theirs) and ours == theirs else key
