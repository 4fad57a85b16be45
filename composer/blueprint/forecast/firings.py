"""Interventions as a run will fire them: when each planned firing comes, how often, and on how many parameters.

Tests: tests/blueprint/test_show_interventions.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from composer.blueprint.forecast.clock import Clock
from composer.blueprint.schema import Blueprint
from composer.interventions.triggers import ClockName, Trigger
from composer.networks.outline import Outline
from composer.networks.parameter_selectors import Place


@dataclass(frozen=True)
class Firings:
    """The planned firings of one intervention; there is at least one."""

    moments: Sequence[int]
    """On the clock of its trigger."""
    count: int
    """How many: moments of environment steps that one interaction passes together are one firing."""


def sizes(blueprint: Blueprint) -> dict[str, Outline]:
    """Networks and learned scalars by role, one copy each."""
    found = {role: outline for role, outline in blueprint.outlines.items() if isinstance(outline, Outline)}
    return found | dict(blueprint.algorithm.learned_scalars())


def entries(blueprint: Blueprint, chosen: Sequence[Place]) -> int:
    """Entries of parameters, all copies of one seed."""
    plans = {role: dict(outline.named_parameters()) for role, outline in sizes(blueprint).items()}
    return sum(plans[role][path].count * copies(blueprint, role) for role, path in chosen)


def copies(blueprint: Blueprint, role: str) -> int:
    """Of a network; a learned scalar has one."""
    return blueprint.networks[role].copies if role in blueprint.networks else 1


def length(blueprint: Blueprint, on: ClockName, clock: Clock) -> int:
    """How far a clock goes in the whole run."""
    interactions = clock.interactions_by(blueprint.training.env_steps)
    environment, batch = blueprint.environment, blueprint.algorithm.batch_size
    lengths: Mapping[ClockName, int] = {
        "env": interactions * clock.stride,
        "interaction": interactions,
        "update": clock.updates_by(blueprint.training.env_steps),
        "epoch": environment.epochs_by(interactions, batch),
        "phase": environment.switches_by(interactions, batch),
    }
    return lengths[on]


def firings(blueprint: Blueprint, when: Trigger, clock: Clock) -> Firings | None:
    """What is planned of a trigger in the whole run; None where nothing is, or where a metric decides."""
    moments = when.planned(length(blueprint, when.clock, clock))
    if not moments:
        return None
    if when.clock != "env":
        return Firings(moments, len(moments))
    if not isinstance(moments, range):
        return Firings(moments, len({-(-moment // clock.stride) for moment in moments}))
    span = -(-moments[-1] // clock.stride) - -(-moments[0] // clock.stride)
    return Firings(moments, min(len(moments), span + 1))


def injections(blueprint: Blueprint, name: str, clock: Clock) -> int:
    """The most terms that an injection will have added: one at least, and one where a metric decides without limit."""
    when = blueprint.interventions[name].when
    found = firings(blueprint, when, clock)
    return when.most_firings(found.count if found else 0)


def injected(blueprint: Blueprint) -> dict[str, str]:
    """The injection of each role that has one, by role."""
    outlines = sizes(blueprint)
    each = ((name, one) for name, one in blueprint.interventions.items() if one.do.growth)
    return {one.where.select(outlines)[0][0]: name for name, one in each}
