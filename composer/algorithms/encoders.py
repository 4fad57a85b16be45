"""Networks between observations and an actor-critic, which the critics' loss trains: what their options share.

Options: ``pixels`` (an encoder of pictures), ``task_embedding`` (of several tasks). Tests: tests/papers/test_pixels.py,
tests/papers/test_task_embedding.py.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from composer.algorithms.base import AgentDeclaration, one_gradient_needed
from composer.algorithms.declared import AverageRole, Evaluated, Role
from composer.environments.interface import EnvironmentInfo
from composer.spec.family import Spec

if TYPE_CHECKING:
    from composer.algorithms.losses.features import Features
    from composer.algorithms.program import BuiltAgent

Losses = Mapping[str, tuple[Evaluated, ...]]


class SharedEncoder(Spec):
    """What is between observations and the networks that act and evaluate."""

    option: ClassVar[str]
    """The key of algorithms that declares it."""
    words: ClassVar[str]
    """How messages say that it is declared."""
    networks: ClassVar[tuple[str, ...]]
    """Its networks, which the critics' loss trains."""

    @abstractmethod
    def roles(self, info: EnvironmentInfo, action: str) -> tuple[Role, ...]:
        """Its networks, the actor, whose head gives ``action``, and the critics."""

    @abstractmethod
    def averages_read(self) -> tuple[AverageRole, ...]:
        """Beside the target critic."""

    @abstractmethod
    def evaluations(self, losses: Losses) -> Losses:
        """Those of ``actor``, ``target`` and ``critic``, with the networks that their inputs come from."""

    @abstractmethod
    def build(self, built: BuiltAgent, info: EnvironmentInfo) -> Features:
        """What actor and critics read, over built networks."""

    def problems(self, agent: AgentDeclaration, first: str) -> Iterator[tuple[str, str]]:
        """Settings that do not fit each other; ``first`` is the loss that steps first."""
        yield from one_gradient_needed("the critics' loss trains several networks", agent, "critic", *self.networks)


def with_encoder(order: tuple[str, ...], encoder: SharedEncoder | None) -> tuple[str, ...]:
    """Roles in the order of their steps; the critics' loss trains the encoder too."""
    if encoder is None:
        return order
    trained = encoder.networks
    return tuple(each for role in order for each in ((role, *trained) if role == "critic" else (role,)))


def features_of(encoder: SharedEncoder | None, built: BuiltAgent, info: EnvironmentInfo) -> Features:
    """What actor and critics read: the observation itself without ``encoder``."""
    from composer.algorithms.losses.features import VectorFeatures

    return VectorFeatures() if encoder is None else encoder.build(built, info)


def in_order(order: tuple[str, ...], losses: Losses, encoder: SharedEncoder | None) -> tuple[Evaluated, ...]:
    """The evaluations of the losses ``actor`` and ``critic`` in ``order``, those of ``target`` before the critic's."""
    found = losses if encoder is None else encoder.evaluations(losses)
    each = {"actor": found["actor"], "critic": (*found["target"], *found["critic"])}
    return tuple(evaluated for role in order for evaluated in each.get(role, ()))
