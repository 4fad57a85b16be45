"""An optimistic actor beside SAC's own: the spec. Its losses are in ``optimism_losses.py``.

Tests: tests/papers/test_optimism.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from pydantic import Field

from composer.algorithms.base import AgentDeclaration
from composer.algorithms.declared import Evaluated, Passes, Role
from composer.environments.interface import EnvironmentInfo
from composer.networks.initializers import Constant
from composer.networks.outline import Outline, ParameterPlan
from composer.spec.family import Spec
from composer.spec.metrics import Metric, loss

if TYPE_CHECKING:
    from composer.algorithms.optimism_losses import Settings
    from composer.optim.hyperparameters import Hyperparameters

ROLES: Final = ("optimistic_actor", "optimism", "regularizer")
"""What it adds, in the order of the steps, which are the last of an update."""
OPTION: Final = "optimism"
LOWEST, HIGHEST = -10.0, 7.5
"""Logarithms of the least and the largest weight that is learned: ``ln w = low + (high - low) / 2 (1 + tanh p)``."""


class Optimism(Spec):
    """An actor that collects the data, whose actions are shifted to where the two critics are high or differ.

    ``optimistic_actor`` reads an observation and the mean of the actor's policy and gives a shift of that mean; the
    standard deviation is the actor's times ``std_scale``. It maximises ``mean Q + b |Q1 - Q2| / 2 - c KL`` with the
    Kullback-Leibler divergence from the actor's policy, both at the actor's standard deviation, before the tanh. The
    learned weights ``optimism``, b, and ``regularizer``, c, keep that divergence at ``target_kl`` for each action
    dimension. Evaluations use the actor itself. Source: BRO, Nauman et al., arXiv:2405.16158, and its released code.
    """

    std_scale: float = Field(default=0.75, gt=0, le=100)
    """Factor on the actor's standard deviation."""
    target_kl: float = Field(default=0.05, gt=0, le=1e3)
    """Divergence for each action dimension at which the weights stay: a larger one lowers b and raises c."""
    initial_optimism: float = Field(default=1.0, gt=1e-4, lt=1e3)
    """b before the first update."""
    initial_regularizer: float = Field(default=0.25, gt=1e-4, lt=1e3)
    """c before the first update."""

    def role(self, info: EnvironmentInfo) -> Role:
        """The optimistic actor."""
        size, actions = math.prod(info.observation), info.action_size
        parts = (("observation", (size,)), ("mean action", (actions,)))
        return Role("optimistic_actor", (size + actions,), "action_shift", option=OPTION, concatenates=parts)

    def learned_scalars(self) -> Mapping[str, Outline]:
        """The weights b and c, as what the tanh is taken of."""
        return {"optimism": _weight(self.initial_optimism), "regularizer": _weight(self.initial_regularizer)}

    def evaluations(self) -> tuple[Evaluated, ...]:
        """Those of the optimistic actor's loss."""
        actor, critic = Evaluated("actor", Passes.FORWARD), Evaluated("critic", Passes.THROUGH)
        return actor, Evaluated("optimistic_actor", Passes.TRAIN), critic

    def metrics(self) -> tuple[Metric, ...]:
        """Its signals."""
        return (
            loss("optimistic_actor/loss", "minus optimistic value, plus weighted divergence", -math.inf),
            Metric("optimistic_actor/kl", "divergence from the actor's policy, over all dimensions", "nats", low=0),
            Metric("optimistic_actor/spread", "half the distance of the critics' returns", "scaled return", low=0),
            Metric("optimism/value", "the weight of the critics' difference", low=0),
            loss("optimism/loss", "the weight times divergence above its target", -math.inf),
            Metric("regularizer/value", "the weight of the divergence", low=0),
            loss("regularizer/loss", "minus the weight times divergence above its target", -math.inf),
        )

    def problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        """Critics whose difference it cannot take."""
        critic = agent.networks.get("critic")
        if critic is not None and critic.copies != 2:
            yield "networks.critic.copies", f"optimism is over the difference of 2 critics, got {critic.copies}"

    def settings(self, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Settings:
        """The settings of the losses, with numbers as tensors."""
        from composer.algorithms.optimism_losses import Settings

        target, scale = hyperparameters.number(self.target_kl), hyperparameters.number(math.log(self.std_scale), 1, 1)
        return Settings(info.action_size, target, scale, (LOWEST, HIGHEST))


def _weight(value: float) -> Outline:
    initial = math.atanh((math.log(value) - LOWEST) / (HIGHEST - LOWEST) * 2 - 1)
    plan = ParameterPlan((), Constant(value=initial), fan_in=1, fan_out=1)
    return Outline("scalar", (), (), parameters={"value": plan})
