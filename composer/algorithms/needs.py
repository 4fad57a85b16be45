"""What an algorithm needs: networks with their heads, averages and optimizers, each with an entry that fills the gap.

Messages, reference pages and skeletons read it. Tests: tests/errors/test_needs.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from composer.algorithms.base import Algorithm
from composer.algorithms.declared import AverageRole, Role
from composer.environments.interface import EnvironmentInfo
from composer.networks.heads import heads_giving


class Need(NamedTuple):
    """One entry of a blueprint that an algorithm needs."""

    key: str
    """Such as ``networks.critic``."""
    what: str
    """What fits there: ``a network with a head of: 'scalar'``."""
    example: str
    """A value that fits, as TOML on one line."""

    @property
    def addition(self) -> str:
        """``networks.critic = { ... }``."""
        return f"{self.key} = {self.example}"


def needs(algorithm: Algorithm, info: EnvironmentInfo) -> tuple[Need, ...]:
    """Everything that it needs in this environment; averages that it may lack are left out."""
    return tuple(_needs(algorithm, info))


def _needs(algorithm: Algorithm, info: EnvironmentInfo) -> Iterator[Need]:
    for role in algorithm.roles(info):
        yield network_needed(role, info)
    for average in algorithm.averages_read():
        if not average.is_optional:
            yield average_needed(average)
    for name in algorithm.trained_roles():
        yield optimizer_needed(name)


def network_needed(role: Role, info: EnvironmentInfo) -> Need:
    """The network of a role; the first of the heads that fit is the plainest."""
    heads = heads_giving(role.produces)
    trunk = "nature_cnn" if info.pictures and role.input == info.observation else "mlp"
    example = f'{{ trunk = {{ use = "{trunk}" }}, head = {{ kind = "{heads[0]}" }} }}'
    return Need(f"networks.{role.name}", f"a network with a head of: {', '.join(map(repr, heads))}", example)


def average_needed(role: AverageRole) -> Need:
    """The average, moving as in SAC's paper."""
    example = f'{{ of = "{role.of}", momentum = {role.momentum} }}'
    return Need(f"averages.{role.name}", f"an average of {role.of!r}", example)


def optimizer_needed(name: str) -> Need:
    """The optimizer of a trained role."""
    return Need(f"optimizers.{name}", "an optimizer", '{ kind = "adam", learning_rate = 3e-4 }')
