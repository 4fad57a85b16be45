"""What surrounds each network of a blueprint, for trees and figures: inputs, optimizer, averages, and what changes it.

Tests: tests/blueprint/test_show.py, tests/blueprint/test_diagram.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from composer.blueprint.forecast.clock import lengths_of
from composer.blueprint.forecast.growth import growth_text
from composer.blueprint.forecast.kind_text import intervention_text, kind_text
from composer.blueprint.schema import Blueprint
from composer.interventions.clocks import CLOCK_STEPS
from composer.interventions.triggers import Trigger
from composer.networks.parameter_selectors import ParameterName
from composer.optim.schedules import Schedule
from composer.spec.quantities import counted
from composer.spec.shape import Shape

_SHOWN_MOMENTS = 4
_KEPT = "copied when a policy has passed its assessment"


class Input(NamedTuple):
    """One thing that a network reads."""

    name: str
    """``observation``, ``action``; empty where the algorithm gives it no name."""
    shape: Shape
    normalizer: str = ""
    """The kind of the running statistics that it goes through first; empty where it is read as it is."""


class Change(NamedTuple):
    """An intervention or a penalty that touches a network."""

    number: int
    """Its number in the blueprint, from 1; interventions come first."""
    name: str
    text: str
    """Name, operation and time: ``hare: lerp toward average tortoise, every 20,000 updates``."""
    paths: frozenset[str]
    """The parameters of this network that it chooses."""
    is_of_all: bool
    """Whether these are all parameters of the network."""


def touched(changes: Iterable[Change], path: str) -> frozenset[tuple[int, str]]:
    """The changes that choose parameters below ``path``: number, and the rest of a parameter's path."""
    return frozenset(
        (change.number, each.removeprefix(path)) for change in changes for each in change.paths if each.startswith(path)
    )


class NetworkFacts(NamedTuple):
    """What surrounds one network."""

    inputs: tuple[Input, ...]
    """What it reads, joined in this order."""
    optimizer: str
    """Its optimizer with the keys that are set; empty where it is not trained."""
    averages: tuple[str, ...]
    """``target_critic, momentum 0.995``, in declared order; ``slow of target_critic, ...`` of an average of one.

    One that only copies its network is ``target_value, copied every 8,000 updates``.
    """
    changes: tuple[Change, ...]


def network_facts(blueprint: Blueprint) -> dict[str, NetworkFacts]:
    """By role, for every network whose shapes match."""
    changes = list(chosen_changes(blueprint))
    return {role: _facts(blueprint, role, changes) for role in blueprint.sound_outlines}


def _facts(blueprint: Blueprint, role: str, changes: Sequence[Chosen]) -> NetworkFacts:
    optimizer = blueprint.optimizers.get(role)
    paths = {path for path, _ in blueprint.sound_outlines[role].named_parameters()}
    touching = []
    for number, change in enumerate(changes, 1):
        own = frozenset(path for each, path in change.parameters if each == role)
        if own:
            touching.append(Change(number, change.name, f"{change.name}: {change.text}", own, own == paths))
    kept = {each.name for each in blueprint.algorithm.averages_read() if each.is_kept and not each.is_optional}
    averages = (
        f"{name}{'' if each.of == role else f' of {each.of}'}, {_KEPT if name in kept else _followed(each.momentum)}"
        for name, each in blueprint.averages.items()
        if blueprint.averaged_networks.get(name) == role
    )
    written = kind_text(optimizer) if optimizer is not None else ""
    return NetworkFacts(tuple(_inputs(blueprint, role)), written, tuple(averages), tuple(touching))


def _followed(momentum: Schedule) -> str:
    if momentum.copies is None:
        return f"momentum {kind_text(momentum)}"
    every = momentum.copies[1]
    return f"copied every {every:,} updates" if every > 1 else "copied each update"


def _inputs(blueprint: Blueprint, role: str) -> Iterator[Input]:
    environment, statistic = blueprint.environment, blueprint.normalization.observation
    observed = "observation" if environment.is_simulator else "sample"
    declared = next(each for each in blueprint.algorithm.roles(environment.info) if each.name == role)
    whole = blueprint.sound_outlines[role].input
    is_observed = whole == environment.info.observation
    parts = declared.concatenates or ((observed if is_observed else "", whole),)
    rest = whole[0] - sum(shape[0] for _, shape in parts if shape is not None)
    for name, shape in parts:
        is_normalized = name == observed and not statistic.is_identity
        yield Input(name, (rest,) if shape is None else shape, statistic.kind if is_normalized else "")


class Chosen(NamedTuple):
    """A change with all parameters that it chooses, of any network."""

    name: str
    text: str
    """Operation and time."""
    parameters: tuple[ParameterName, ...]


def chosen_changes(blueprint: Blueprint) -> Iterator[Chosen]:
    """The interventions of a blueprint, then its penalties."""
    outlines = blueprint.trained_outlines
    for name, each in blueprint.interventions.items():
        grown = growth_text(blueprint, name).replace(", which then has", "; the network then has")
        text = f"{intervention_text(each)}, {_when(blueprint, each.when)}{grown}"
        yield Chosen(name, text, each.where.select(outlines))
    for name, penalty in blueprint.penalties.items():
        text = f"{penalty.kind} of coefficient {penalty.coefficient:g}"
        yield Chosen(name, text, penalty.chosen(outlines))


def _when(blueprint: Blueprint, trigger: Trigger) -> str:
    """``every 20,000 updates``, ``at 125,000 environment steps``, or what a metric must do."""
    if condition := trigger.condition():
        return condition
    unit = CLOCK_STEPS[trigger.clock]
    if trigger.period:
        return f"every {trigger.period:,} {unit}" if trigger.period > 1 else f"after each {trigger.clock}"
    moments = trigger.moments(lengths_of(blueprint))
    shown = ", ".join(f"{moment:,}" for moment in moments[:_SHOWN_MOMENTS])
    more = f" and {counted(len(moments) - _SHOWN_MOMENTS, 'other time')}" if len(moments) > _SHOWN_MOMENTS else ""
    return f"at {shown} {unit}{more}"
