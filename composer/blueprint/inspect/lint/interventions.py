"""Advice on interventions. Tests: tests/blueprint/test_lint_interventions.py."""

from __future__ import annotations

from collections.abc import Iterator

from composer.blueprint.forecast import firings as planned
from composer.blueprint.forecast.effects import extra_updates
from composer.blueprint.forecast.periods import updates_in
from composer.blueprint.inspect.lint.base import Finding, Subject, rule
from composer.interventions.base import Intervention
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
        updates = updates_in(subject.blueprint, each.when.clock, each.when.period)
        slowest = subject.blueprint.averages[average].momentum.bounds()[1]
        if updates < (1 / (1 - slowest) if slowest < 1 else float("inf")):
            share = 100 * (1 - slowest**updates)
            message = (
                f"{average!r} takes in {share:.0f} % of what the {updates:,.0f} updates between two firings change, "
                "and the rest is undone: fewer than 1 / (1 - momentum)"
            )
            yield ("interventions", name, "when"), message


@rule("target-as-tortoise", "info", "argued")
def target_as_tortoise(subject: Subject) -> Iterator[Finding]:
    """An average that is bootstrapped from and returned to."""
    evaluated = {each.network for each in subject.blueprint.algorithm.evaluations()}
    for name, each in subject.blueprint.interventions.items():
        average = each.do.average
        if average is not None and average in evaluated:
            message = (
                f"{average!r} is a target too: at a firing the network equals its target; one momentum serves two ends"
            )
            yield ("interventions", name, "do"), message


@rule("measured-effect", "info", "argued")
def measured_effect(subject: Subject) -> Iterator[Finding]:
    """What measuring effects costs, and what the forks do not see."""
    extra = extra_updates(subject.blueprint)
    for name, updates in extra.items():
        if updates and subject.lengths.update:
            message = (
                f"measuring takes {updates:,} more updates, {updates / subject.lengths.update:.1%} of the run's; its "
                "forks learn from what is stored at the firing: an effect by other data comes later and is not in it"
            )
            yield ("interventions", name, "measure"), message
