"""Advice on interventions. Tests: tests/blueprint/test_lint_interventions.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from composer.blueprint.forecast import firings as planned
from composer.blueprint.inspect.lint.base import Finding, Subject, rule
from composer.interventions.base import Intervention
from composer.interventions.triggers import ClockName
from composer.networks.parameter_selectors import ParameterName


def _chosen(subject: Subject, each: Intervention) -> tuple[ParameterName, ...]:
    return each.where.select(subject.blueprint.trained_outlines)


@rule("stale-moments", "warn", "Nikishin et al., arXiv:2205.07802: optimizer state begins anew with the weights")
def stale_moments(subject: Subject) -> Iterator[Finding]:
    """A reset of weights that says nothing of their optimizer state, which stays."""
    for name, each in subject.blueprint.interventions.items():
        if each.do.resets_weights and "moments" not in each.model_fields_set:
            message = (
                "moments of the old weights go on to move the new ones; write moments = 'zero', or 'keep' if meant"
            )
            yield ("interventions", name), message


@rule("late-reset", "info", "Schwarzer et al. (BBF), arXiv:2305.19452: no reset within an interval of the end")
def late_reset(subject: Subject) -> Iterator[Finding]:
    """A reset after which the run ends before the next one would have come."""
    for name, each in subject.blueprint.interventions.items():
        # After the last switch of phases comes the last phase: nothing is too late.
        period = each.when.period
        if period is None or each.when.clock == "phase" or not each.do.resets_weights:
            continue
        found = planned.firings(each.when, subject.lengths, subject.clock.stride)
        length = subject.lengths.of(each.when.clock)
        left = length - found.moments[-1] if found else length
        # Where every firing of many is so near to the next one, the last is like any other.
        if found is not None and left < period and found.count < 100:
            message = f"the last one leaves {left:,} of {period:,} to recover; write spare_last there"
            yield ("interventions", name, "when"), message


@rule("early-tortoise", "info", "argued")
def early_tortoise(subject: Subject) -> Iterator[Finding]:
    """A Hare that returns to its Tortoise before that has seen much of it."""
    for name, each in subject.blueprint.interventions.items():
        average = each.do.average
        if average is None or each.when.period is None:
            continue
        updates = _updates(subject, each.when.clock, each.when.period)
        slowest = subject.blueprint.averages[average].momentum.bounds()[1]
        if updates < (1 / (1 - slowest) if slowest < 1 else float("inf")):
            share = 100 * (1 - slowest**updates)
            message = (
                f"{average!r} takes in {share:.0f} % of what the {updates:,.0f} updates between two firings change, "
                "and the rest is undone: fewer than 1 / (1 - momentum)"
            )
            yield ("interventions", name, "when"), message


def _updates(subject: Subject, on: ClockName, period: int) -> float:
    """Updates in ``period`` steps of a clock, after the warm-up."""
    if on == "update":
        return period
    clock, batch = subject.clock, subject.blueprint.algorithm.batch_size
    environment = subject.blueprint.environment
    phases = max(len(environment.stages(batch)), 1)
    interactions = {
        "env": period / clock.stride,
        "interaction": period,
        "epoch": period * environment.epoch_interactions(batch),
        "phase": period * subject.interactions / phases,
    }
    return interactions[on] * clock.update_to_data


@rule("target-as-tortoise", "info", "argued")
def target_as_tortoise(subject: Subject) -> Iterator[Finding]:
    """An average that is bootstrapped from and returned to."""
    evaluated = {network for network, _ in subject.blueprint.algorithm.evaluations()}
    for name, each in subject.blueprint.interventions.items():
        average = each.do.average
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
        units = [
            (role, path)
            for role, path in _chosen(subject, each)
            if role in plans and plans[role][path].unit_axis is not None
        ]
        if each.do.mixes_weights and units:
            message = (
                f"{'.'.join(units[0])} is kept at unit norm: shrinking has no effect on it, and until the next step, "
                "which projects, its norm is another"
            )
            yield ("interventions", name, "do"), message


@rule("same-moment", "warn", "argued")
def same_moment(subject: Subject) -> Iterator[Finding]:
    """Two interventions that change the same parameters at the same moment."""
    for (first, one), (second, other) in combinations(subject.blueprint.interventions.items(), 2):
        shared = set(_chosen(subject, one)) & set(_chosen(subject, other))
        if not (one.do.changes_weights and other.do.changes_weights and shared):
            continue
        if _meet(subject, one, other):
            message = f"fires together with {first!r}, on {'.'.join(min(shared))} too: the later of the two wins"
            yield ("interventions", second), message


def _meet(subject: Subject, one: Intervention, other: Intervention) -> bool:
    """Whether both have a planned firing at the same reading of the same clock."""
    if one.when.clock != other.when.clock:
        return False
    found = [planned.firings(each.when, subject.lengths, subject.clock.stride) for each in (one, other)]
    rare, often = sorted((each.moments if each else () for each in found), key=len)
    return any(moment in often for moment in _few(rare))


def _few(moments: Sequence[int]) -> Sequence[int]:
    """Enough of them to meet what they would meet: two ranges that meet at all meet early."""
    return moments[:10_000]
