"""Advice on interventions. Tests: tests/blueprint/test_lint_interventions.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from composer.blueprint.forecast import firings as planned
from composer.blueprint.inspect.lint.base import Finding, Subject, rule
from composer.interventions.base import Intervention
from composer.interventions.operations import Lerp, Perturb
from composer.interventions.sources import Fresh, FromAverage, Initial
from composer.interventions.triggers import Crossing, Every
from composer.networks.parameter_selectors import Place

SMALL = 0.5
"""Share of old weights from which on moments still belong to them, more or less."""


def _chosen(subject: Subject, each: Intervention) -> tuple[Place, ...]:
    return each.where.select(planned.sizes(subject.blueprint))


def _is_reset(each: Intervention) -> bool:
    """Whether most of the old weights is gone after a firing."""
    if isinstance(each.do, Lerp):
        return isinstance(each.do.toward, Fresh | Initial) and each.do.amount > SMALL
    return isinstance(each.do, Perturb) and each.do.keep < SMALL


def _averages(each: Intervention) -> str | None:
    """The average that a network returns to."""
    return each.do.toward.name if isinstance(each.do, Lerp) and isinstance(each.do.toward, FromAverage) else None


@rule("stale-moments", "warn", "Nikishin et al., arXiv:2205.07802: optimizer state begins anew with the weights")
def stale_moments(subject: Subject) -> Iterator[Finding]:
    """A reset of weights that says nothing of their optimizer state, which stays."""
    for name, each in subject.blueprint.interventions.items():
        if _is_reset(each) and "moments" not in each.model_fields_set:
            message = (
                "moments of the old weights go on to move the new ones; write moments = 'zero', or 'keep' if meant"
            )
            yield ("interventions", name), message


@rule("late-reset", "info", "Schwarzer et al. (BBF), arXiv:2305.19452: no reset within an interval of the end")
def late_reset(subject: Subject) -> Iterator[Finding]:
    """A reset after which the run ends before the next one would have come."""
    for name, each in subject.blueprint.interventions.items():
        # After the last switch of phases comes the last phase: nothing is too late.
        if not (isinstance(each.when, Every) and each.when.clock != "phase" and _is_reset(each)):
            continue
        found = planned.firings(subject.blueprint, each.when, subject.clock)
        length = planned.length(subject.blueprint, each.when.clock, subject.clock)
        left = length - found.moments[-1] if found else length
        # Where every firing of many is so near to the next one, the last is like any other.
        if found is not None and left < each.when.interval and found.count < 100:
            message = f"the last one leaves {left:,} of {each.when.interval:,} to recover; write spare_last there"
            yield ("interventions", name, "when"), message


@rule("early-tortoise", "info", "argued")
def early_tortoise(subject: Subject) -> Iterator[Finding]:
    """A Hare that returns to its Tortoise before that has seen much of it."""
    for name, each in subject.blueprint.interventions.items():
        average = _averages(each)
        if average is None or not isinstance(each.when, Every):
            continue
        updates = _updates(subject, each.when)
        slowest = subject.blueprint.averages[average].momentum.bounds()[1]
        if updates < (1 / (1 - slowest) if slowest < 1 else float("inf")):
            share = 100 * (1 - slowest**updates)
            message = (
                f"{average!r} takes in {share:.0f} % of what the {updates:,.0f} updates between two firings change, "
                "and the rest is undone: fewer than 1 / (1 - momentum)"
            )
            yield ("interventions", name, "when"), message


def _updates(subject: Subject, when: Every) -> float:
    """Updates between two firings, after the warm-up."""
    if when.clock == "update":
        return when.interval
    clock, batch = subject.clock, subject.blueprint.algorithm.batch_size
    environment = subject.blueprint.environment
    phases = max(len(environment.stages(batch)), 1)
    interactions = {
        "env": when.interval / clock.stride,
        "interaction": when.interval,
        "epoch": when.interval * environment.epoch_interactions(batch),
        "phase": when.interval * subject.interactions / phases,
    }
    return interactions[when.clock] * clock.update_to_data


@rule("target-as-tortoise", "info", "argued")
def target_as_tortoise(subject: Subject) -> Iterator[Finding]:
    """An average that is bootstrapped from and returned to."""
    evaluated = {network for network, _ in subject.blueprint.algorithm.evaluations()}
    for name, each in subject.blueprint.interventions.items():
        average = _averages(each)
        if average is not None and average in evaluated:
            message = (
                f"{average!r} is a target too: at a firing the network equals its target; one momentum serves two ends"
            )
            yield ("interventions", name, "do"), message


@rule("reset-on-sphere", "warn", "argued")
def reset_on_sphere(subject: Subject) -> Iterator[Finding]:
    """Part of a draw or noise in weights of unit norm, which the next step projects back."""
    plans = {role: dict(outline.named_parameters()) for role, outline in subject.outlines.items()}
    for name, each in subject.blueprint.interventions.items():
        is_mixed = isinstance(each.do, Perturb) or (isinstance(each.do, Lerp) and each.do.amount < 1)
        units = [
            (role, path)
            for role, path in _chosen(subject, each)
            if role in plans and plans[role][path].unit_axis is not None
        ]
        if is_mixed and units:
            message = (
                f"{'.'.join(units[0])} is kept at unit norm: shrinking does nothing to it, and until the next step, "
                "which projects, its norm is another"
            )
            yield ("interventions", name, "do"), message


@rule("same-moment", "warn", "argued")
def same_moment(subject: Subject) -> Iterator[Finding]:
    """Two interventions that change the same parameters at the same moment."""
    for (first, one), (second, other) in combinations(subject.blueprint.interventions.items(), 2):
        shared = set(_chosen(subject, one)) & set(_chosen(subject, other))
        if one.do.kind == "nothing" or other.do.kind == "nothing" or not shared:
            continue
        if _meet(subject, one, other):
            message = (
                f"fires together with {first!r}, on {'.'.join(min(shared))} too: the later one stands, in this order"
            )
            yield ("interventions", second), message


def _meet(subject: Subject, one: Intervention, other: Intervention) -> bool:
    """Whether both have a firing at the same reading of the same clock; those that a metric decides are not judged."""
    if one.when.clock != other.when.clock or isinstance(one.when, Crossing) or isinstance(other.when, Crossing):
        return False
    found = [planned.firings(subject.blueprint, each.when, subject.clock) for each in (one, other)]
    rare, often = sorted((each.moments if each else () for each in found), key=len)
    return any(moment in often for moment in _few(rare))


def _few(moments: Sequence[int]) -> Sequence[int]:
    """Enough of them to meet what they would meet: two ranges that meet at all meet early."""
    return moments[:10_000]
