"""The growth of networks that a run plans: each firing in order of time, and the networks after it.

Tests: tests/interventions/test_growth.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from composer.blueprint.forecast.clock import lengths_of
from composer.blueprint.forecast.firings import firings
from composer.blueprint.forecast.periods import interactions_of
from composer.blueprint.schema import Blueprint
from composer.interventions.growth_steps import Step
from composer.networks.outline import Outline
from composer.spec.quantities import counted


@dataclass(frozen=True)
class GrowthFiring:
    """One planned firing of an intervention that lets a network grow."""

    name: str
    role: str
    after: Outline
    text: str
    """What grows, in words."""


class CannotGrow(ValueError):
    """A later firing that a network does not allow; ``name`` is the intervention."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def growth(blueprint: Blueprint) -> Sequence[GrowthFiring]:
    """All planned firings in order of time, kept with the blueprint; those that metrics decide are the last.

    Raises CannotGrow.
    """
    if "growth" not in blueprint.derived:
        blueprint.derived["growth"] = list(_growth(blueprint))
    found: Sequence[GrowthFiring] = blueprint.derived["growth"]
    return found


def grown_outlines(blueprint: Blueprint) -> Mapping[str, Outline]:
    """One copy of each network that grows, by role, as it is at the end of the run; none where checks find a fault."""
    try:
        return {each.role: each.after for each in growth(blueprint)}
    except CannotGrow:
        return {}


def growth_text(blueprint: Blueprint, name: str) -> str:
    """What an intervention makes of its network by its last firing, in words; empty where it changes no shape."""
    try:
        own = [each for each in growth(blueprint) if each.name == name]
    except CannotGrow:
        return ""
    if not own:
        return ""
    copies = blueprint.networks[own[-1].role].copies
    last = f" at last ({own[-1].text})" if len(own) > 1 else f" ({own[-1].text})"
    return f", which then has {counted(own[-1].after.count() * copies, 'parameter')}{last}"


def _growth(blueprint: Blueprint) -> Iterator[GrowthFiring]:
    networks, outlines = dict(blueprint.networks), dict(blueprint.trained_outlines)
    actions = blueprint.environment.info.action_size if networks else 0
    for _, name in sorted(_times(blueprint), key=lambda pair: pair[0]):
        each = blueprint.interventions[name]
        chosen = each.where.select(outlines)
        role = chosen[0][0] if chosen else ""
        if role not in networks:
            continue
        try:
            shape, paths = outlines[role].input, [path for of, path in chosen if of == role]
            steps: list[Step] = list(each.do.steps(networks[role], shape, actions, paths))
        except ValueError as error:
            raise CannotGrow(name, str(error)) from None
        networks[role], outlines[role] = steps[-1].network, steps[-1].after
        yield GrowthFiring(name, role, steps[-1].after, ", ".join(step.text for step in steps))


def _times(blueprint: Blueprint) -> Iterator[tuple[float, str]]:
    """Interactions before each firing, with the intervention; at equal times in declared order."""
    lengths, stride = lengths_of(blueprint), blueprint.environment.stride
    for name, each in blueprint.interventions.items():
        if not each.do.reshapes or any(each.where.problems(blueprint.trained_outlines)):
            continue
        found = firings(each.when, lengths, stride)
        if each.when.watched_metrics() or found is None:
            times = [float(lengths.interaction)] * each.when.most_firings(found.count if found else 0)
        else:
            due = (interactions_of(blueprint, each.when.clock, moment) for moment in found.moments)
            times = list(dict.fromkeys(due))[: found.count]
        yield from ((time, name) for time in times)
