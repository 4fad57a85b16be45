"""The planned firings of interventions: when, how often, and on how many parameters.

Tests: tests/blueprint/test_show_interventions.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from composer.interventions.base import Intervention
from composer.interventions.clocks import Lengths
from composer.interventions.triggers import Trigger
from composer.networks.network import Network
from composer.networks.outline import Outline
from composer.networks.parameter_selectors import ParameterName


@dataclass(frozen=True)
class Firings:
    """The planned firings of one intervention, at least one."""

    moments: Sequence[int]
    """On the clock of its trigger."""
    count: int
    """Moments of environment steps within one interaction count as one firing."""


def entries(chosen: Sequence[ParameterName], outlines: Mapping[str, Outline], networks: Mapping[str, Network]) -> int:
    """Entries of the chosen parameters, all copies of one seed; a learned scalar has one copy."""
    plans = {role: dict(outlines[role].named_parameters()) for role in {role for role, _ in chosen}}
    return sum(plans[role][path].count * (networks[role].copies if role in networks else 1) for role, path in chosen)


def firings(when: Trigger, lengths: Lengths, stride: int) -> Firings | None:
    """The planned firings in a run with ``stride`` environment steps per interaction; None without any."""
    moments = when.moments(lengths)
    if not moments:
        return None
    if when.clock != "env":
        return Firings(moments, len(moments))
    if not isinstance(moments, range):
        return Firings(moments, len({-(-moment // stride) for moment in moments}))
    span = -(-moments[-1] // stride) - -(-moments[0] // stride)
    return Firings(moments, min(len(moments), span + 1))


def most_injections(when: Trigger, lengths: Lengths, stride: int) -> int:
    """The most terms that an injection adds: at least one, and one where a metric decides without a limit."""
    found = firings(when, lengths, stride)
    return when.most_firings(found.count if found else 0)


def injections_by_role(interventions: Mapping[str, Intervention], outlines: Mapping[str, Outline]) -> dict[str, str]:
    """The name of the injection of each role that has one."""
    growing = {name: each for name, each in interventions.items() if each.do.growth}
    return {each.where.select(outlines)[0][0]: name for name, each in growing.items()}
