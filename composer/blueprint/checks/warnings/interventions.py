"""Warnings about interventions: firings that have no effect, undo each other, or leave no time to learn."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import combinations, islice, product

from composer.blueprint.checks.meaning import Finding
from composer.blueprint.forecast.clock import clock_of, lengths_of
from composer.blueprint.forecast.periods import fires_without_pause, interactions_of, updates_in
from composer.blueprint.forecast.timeline import schedules
from composer.blueprint.schema import Blueprint
from composer.interventions.base import Intervention
from composer.interventions.clocks import ClockName
from composer.networks.parameter_selectors import ParameterName

MAX_MOMENTS = 10_000
"""So many firings, shared by all pairs of interventions, are compared: regular ones that meet do so early."""
MAX_CONVERTED = 300
"""The same where the two of a pair count on different clocks, which takes longer."""

Planned = tuple[ClockName, Sequence[int]]
"""A clock, and moments on it in order."""


def before_the_first_update(blueprint: Blueprint) -> Iterator[Finding]:
    """Resets of weights that no update has changed yet."""
    if not lengths_of(blueprint).update:
        return
    for name, each in blueprint.interventions.items():
        moment = next(iter(each.when.moments(lengths_of(blueprint))), None)
        if moment is None or not each.do.resets_weights or each.when.is_per_seed(lengths_of(blueprint)):
            continue
        first = math.ceil(interactions_of(blueprint, each.when.clock, moment))
        if not lengths_of(blueprint, first).update:
            message = f"fires after {first:,} interactions, before the first update: nothing is learned yet"
            yield ("interventions", name, "when"), message


def too_often(blueprint: Blueprint) -> Iterator[Finding]:
    """Resets, copies of averages and injections after every interaction or update, which leave no time to learn."""
    for name, each in blueprint.interventions.items():
        copies = each.do.average is not None and not each.do.mixes_weights
        often = next(filter(None, (fires_without_pause(blueprint, when) for when in each.when.sufficient())), "")
        if often and (each.do.resets_weights or copies or each.do.changes_structure):
            yield ("interventions", name, "when"), f"{often}: no time to learn in between"


def same_moment(blueprint: Blueprint) -> Iterator[Finding]:
    """Two interventions that change the same parameters without an update between them."""
    lengths = lengths_of(blueprint)
    changing = {
        name: (each.when.certain(lengths), set(_chosen(blueprint, each)))
        for name, each in blueprint.interventions.items()
        if each.do.changes_weights and not each.do.is_projection
    }
    pairs = list(combinations(changing.items(), 2))
    for (first, (one, ours)), (second, (other, theirs)) in pairs:
        planned = product(one, other) if ours & theirs else ()
        met = next((both for both in planned if _meet(blueprint, *both, len(pairs))), None)
        if met:
            on = ".".join(min(ours & theirs))
            if met[0][0] == met[1][0]:
                order = "in the order of the file"
            else:
                order = "those on updates first, then epochs, interactions and environment steps"
            message = f"fires together with {first!r}, on {on} too, {order}: the later of the two wins"
            yield ("interventions", second), message


def unfinished_restarts(blueprint: Blueprint) -> Iterator[Finding]:
    """Schedules that an intervention begins anew before they end."""
    for name, each in blueprint.interventions.items():
        if each.schedules != "restart" or each.when.period is None:
            continue
        between = updates_in(blueprint, each.when.clock, each.when.period)
        for role in dict.fromkeys(role for role, _ in _chosen(blueprint, each)):
            optimizer = blueprint.optimizers.get(role)
            ends = [update for _, schedule in schedules(optimizer) for update, _ in schedule.points()]
            if max(ends, default=0) > between:
                message = f"begins the schedule of optimizers.{role} anew every {between:,.6g} updates, before its end"
                yield ("interventions", name, "schedules"), f"{message}, {max(ends):,} updates"


def untrained_parameters(blueprint: Blueprint) -> Iterator[Finding]:
    """Changes of parameters that nothing trains."""
    for name, each in blueprint.interventions.items():
        chosen = _chosen(blueprint, each)
        roles = dict.fromkeys(role for role, _ in chosen)
        plans = {role: dict(blueprint.trained_outlines[role].named_parameters()) for role in roles}
        if chosen and not any(role in blueprint.optimizers and plans[role][path].trainable for role, path in chosen):
            role, path = chosen[0]
            others = f" nor the other {len(chosen) - 1}" if len(chosen) > 1 else ""
            yield ("interventions", name, "where"), f"nothing trains {role}.{path}{others}: what it changes stays"


def mixed_on_the_sphere(blueprint: Blueprint) -> Iterator[Finding]:
    """Part of a draw or noise in parameters that are kept at a norm, which the next step projects back."""
    plans = {role: dict(outline.named_parameters()) for role, outline in blueprint.sound_outlines.items()}
    for name, each in blueprint.interventions.items():
        units = [
            (role, path) for role, path in _chosen(blueprint, each) if role in plans and plans[role][path].is_projected
        ]
        if each.do.mixes_weights and units:
            norm = "unit norm" if plans[units[0][0]][units[0][1]].unit_axis is not None else "its first norm"
            yield (
                ("interventions", name, "do"),
                f"{'.'.join(units[0])} is kept at {norm}: shrinking has no effect on it, and until the next step,"
                " which projects, its norm is another",
            )


def _chosen(blueprint: Blueprint, each: Intervention) -> tuple[ParameterName, ...]:
    return each.where.select(blueprint.trained_outlines)


def _meet(blueprint: Blueprint, one: Planned, other: Planned, pairs: int) -> bool:
    """Whether a planned firing of each comes with no update between the two."""
    (of, rare), (on, often) = sorted((one, other), key=lambda each: len(each[1]))
    for moment in islice(rare, 1 + (MAX_MOMENTS if of == on else MAX_CONVERTED) // pairs):
        before, now = _window(blueprint, of, moment, on)
        after = bisect_right(often, before)
        if after < len(often) and often[after] <= now:
            return True
    return False


def _window(blueprint: Blueprint, of: ClockName, moment: int, on: ClockName) -> tuple[int, int]:
    """The readings of the clock ``on`` between which a firing at ``moment`` of the clock ``of`` comes."""
    stride = blueprint.environment.stride
    if of == on:
        steps = stride if of == "env" else 1
        now = -(-moment // steps) * steps
        return now - steps, now
    time = math.ceil(interactions_of(blueprint, of, moment))
    updates = clock_of(blueprint).updates_by(time * stride)
    if on == "update":
        return updates - 1, updates
    if of == "update" and updates != moment:  # More updates of the same interaction follow it.
        return 0, 0
    return lengths_of(blueprint, time - 1).of(on), lengths_of(blueprint, time).of(on)
