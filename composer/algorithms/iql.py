"""Implicit Q-learning: the spec. Its losses are in ``iql_losses.py``. Tests: tests/papers/test_iql.py."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.algorithms.base import AgentDeclaration, Algorithm, OffPolicy, vectors_needed
from composer.algorithms.declared import CRITICS, AverageRole, Evaluated, Passes, Role
from composer.algorithms.start import Start
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo
from composer.spec.metrics import Metric, loss

if TYPE_CHECKING:
    from composer.algorithms.program import BuiltAgent, Program
    from composer.optim.hyperparameters import Hyperparameters

_POINTS = ("value", "critic")


class IQL(OffPolicy, Algorithm, kind="iql"):
    """Implicit Q-learning: values by expectile regression, critics on those values, a policy by weighted regression.

    No loss evaluates an action that the data do not have, which suits fixed data; while it collects data, it draws from
    its policy. An update steps ``value``, ``actor`` and ``critic``, in this order, the later two against the new value,
    then the average ``target_critic``. In the code the actor has the head ``gaussian_policy`` with a tanh of its mean
    and a learning rate that follows half a cosine to 0. Source: Kostrikov et al., arXiv:2110.06169, and its code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "iql", "expectile": 0.7, "inverse_temperature": 3.0}

    expectile: float = Field(default=0.7, gt=0, lt=1)
    """The expectile of ``Q(s, a)`` over the actions of the data that ``V(s)`` learns: 0.5 is their mean, and towards 1
    their maximum. 0.7 on locomotion and 0.9 in AntMaze in the paper."""
    inverse_temperature: float = Field(default=3.0, ge=0, le=1e4)
    """Factor beta on advantages in the weights ``exp(beta (Q - V))`` of the policy's regression, in units of 1 / scaled
    return: 0 is behaviour cloning. 3 on locomotion, 10 in AntMaze, 0.5 on Kitchen and Adroit in the paper."""
    largest_weight: float = Field(default=100.0, gt=0, le=1e9)
    """Bound of these weights, 100 in the code."""

    @override
    @classmethod
    def start(cls, info: EnvironmentInfo) -> Start:
        settings = {
            "batch_size": 256, "update_to_data": 1.0, "warmup_interactions": 5_000, "discount": 0.99,
            "expectile": 0.7, "inverse_temperature": 3.0,
        }  # fmt: skip
        return Start(settings, "IQL, arXiv:2110.06169 and its code", copies={"critic": 2})

    @override
    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        size, actions = math.prod(info.observation), info.action_size
        parts = (("observation", (size,)), ("action", (actions,)))
        return (
            Role("value", info.observation, "value"),
            Role("actor", info.observation, "gaussian"),
            Role("critic", (size + actions,), "value", has_one_copy=False, concatenates=parts),
        )

    @override
    def averages_read(self) -> tuple[AverageRole, ...]:
        return (AverageRole("target_critic", of="critic"),)

    @override
    def trained_roles(self) -> tuple[str, ...]:
        return ("value", "actor", "critic")

    @override
    def evaluations(self) -> tuple[Evaluated, ...]:
        """The advantage of the actor's loss is of the new value."""
        target, value = Evaluated("target_critic", Passes.FORWARD), Evaluated("value", Passes.FORWARD)
        actor = target, value, Evaluated("actor", Passes.TRAIN)
        return (target, Evaluated("value", Passes.TRAIN), *actor, value, Evaluated("critic", Passes.TRAIN))

    @override
    def metrics(self, info: EnvironmentInfo) -> tuple[Metric, ...]:
        return (
            loss("value/loss", "expectile loss of the values"),
            Metric("value/value", "mean value that the value network predicts for a batch", "scaled return"),
            loss("actor/loss", "minus the weighted log-density of the actions of a batch", -math.inf),
            Metric("actor/weight", "mean weight of the actions of a batch", low=0),
            Metric("actor/clipped", "share of weights at their bound", "share", 0, 1),
            *CRITICS,
        )

    @override
    def environment_problems(self, environment: Environment, info: EnvironmentInfo) -> Iterator[tuple[str, str]]:
        return vectors_needed(self.title, info)

    @override
    def problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        for role in _POINTS:
            network = agent.networks.get(role)
            if network is not None and network.head.produces == "value" and not network.head.gives_expectation:
                yield f"networks.{role}.head", f"IQL's {role} gives one value, got the head {network.head.kind!r}"

    @override
    def build(self, built: BuiltAgent, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        from composer.algorithms.iql_losses import IQLProgram, Settings

        numbers = self.expectile, self.inverse_temperature, self.largest_weight
        return IQLProgram(built, Settings(*(hyperparameters.number(each, 1) for each in numbers)))
