"""The cost of measuring effects at firings, and what cannot be measured. Tests: tests/interventions/test_effects.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from composer.blueprint.forecast.clock import lengths_of
from composer.blueprint.forecast.firings import firings
from composer.blueprint.schema import Blueprint
from composer.interventions.effects import LARGEST_SHARE
from composer.spec.wording import suggestion


def extra_updates(blueprint: Blueprint) -> Mapping[str, int]:
    """Updates of all forks that measure an intervention in a whole run, by its name, as far as they are planned.

    A firing of one seed alone costs as much as one of all.
    """
    lengths, found = lengths_of(blueprint), {}
    for name, each in blueprint.interventions.items():
        if each.measure is not None:
            planned = firings(each.when, lengths, blueprint.environment.stride)
            times = each.when.at_most(planned.count if planned else 0, each.measure.firings)
            alone = len(blueprint.seeds) if each.when.is_per_seed(lengths) else 1
            found[name] = 2 * each.measure.updates * times * alone
    return found


def effect_problems(blueprint: Blueprint) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong with measured effects: paths and messages."""
    measured = {name: each.measure for name, each in blueprint.interventions.items() if each.measure is not None}
    if not measured:
        return
    algorithm, key = blueprint.algorithm, "measure"
    info = blueprint.environment.info
    known, schedule = [metric.name for metric in algorithm.metrics(info) or ()], algorithm.update_schedule(info)
    reads_more = algorithm.learns_on_policy or schedule.future or schedule.sequence
    for name, measure in measured.items():
        if reads_more:
            message = f"{algorithm.title} learns from more than single transitions, which a fork draws: leave it out"
            yield ("interventions", name, key), message
        for signal in measure.signals:
            if known and signal not in known:
                message = f"no metric of a loss {signal!r}{suggestion(signal, known)}"
                yield ("interventions", name, key, "signals"), message
    extra, updates = extra_updates(blueprint), lengths_of(blueprint).update
    if sum(extra.values()) > LARGEST_SHARE * updates:
        name = max(extra, key=lambda each: extra[each])
        share = f"{sum(extra.values()) / updates:.0%}" if updates else "more than all"
        message = (
            f"measured effects make {sum(extra.values()):,} updates, {share} of the run's {updates:,}; limit "
            f"{LARGEST_SHARE:.0%}: measure fewer 'firings', or fewer 'updates' of each"
        )
        yield ("interventions", name, key), message


def effect_text(blueprint: Blueprint, name: str) -> str:
    """What is measured of an intervention and what it costs, in words; empty where nothing is."""
    measure = blueprint.interventions[name].measure
    if measure is None:
        return ""
    extra, updates = extra_updates(blueprint)[name], lengths_of(blueprint).update
    share = f", {extra / updates:.1%} of the run's" if updates else ""
    which = "firing" if measure.firings == 1 else f"{measure.firings:,} firings"
    return f", effect of the first {which} measured over {measure.updates:,} updates ({extra:,} more{share})"
