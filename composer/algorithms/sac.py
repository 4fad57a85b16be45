"""Soft actor-critic: the spec. Its losses are in ``sac_losses.py``. Tests: tests/papers/test_sac.py."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from composer.algorithms.base import Algorithm, OffPolicy, vectors_needed
from composer.algorithms.declared import CRITICS, AverageRole, Evaluated, Passes, Role
from composer.algorithms.start import Start
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo
from composer.networks.initializers import Constant
from composer.networks.outline import Outline, ParameterPlan
from composer.spec.metrics import Metric, loss

if TYPE_CHECKING:
    from composer.algorithms.program import BuiltAgent, Program
    from composer.optim.hyperparameters import Hyperparameters


class SAC(OffPolicy, Algorithm, kind="sac"):
    """Soft actor-critic with learned temperature, over one critic or several, of values or of their distributions.

    The number of critics is ``networks.critic.copies``: 1 is a single critic, 2 the clipped double critic. The target
    network is the average ``target_critic``. With a distributional head the critic learns the distribution of
    ``r + discount * (Z - alpha log pi)``. Source: arXiv:1812.05905; order of the steps, unless ``first`` changes it,
    and temperature loss as in SimBa's published code (arXiv:2410.09754); distributional target as in SimbaV2
    (arXiv:2502.15280).
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "sac", "batch_size": 256, "update_to_data": 2.0}

    initial_temperature: float = Field(default=1.0, gt=0, le=1e6)
    """The temperature before the first update."""
    target_entropy_per_action: float = Field(default=-1.0, ge=-100, le=100)
    """Target entropy divided by the number of action dimensions: -1 in arXiv:1812.05905, -0.5 in SimBa."""
    critics: Literal["minimum", "mean"] = "minimum"
    """The return of several critics, sample by sample: that of the critic of lowest value (arXiv:1812.05905, SimbaV2),
    or the mean of all (BRO, arXiv:2405.16158)."""
    first: Literal["actor", "critic"] = "actor"
    """Which of the two steps first, the other one sees its step: the actor in SimBa's code, the critic in JAXRL's. The
    temperature follows the actor."""

    @override
    @classmethod
    def start(cls, info: EnvironmentInfo) -> Start:
        settings = {
            "batch_size": 256, "update_to_data": 1.0, "warmup_interactions": 5_000, "discount": 0.99,
            "initial_temperature": 1.0, "target_entropy_per_action": -1.0,
        }  # fmt: skip
        return Start(settings, "SAC, arXiv:1812.05905", copies={"critic": 2})

    @override
    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        size = math.prod(info.observation)
        parts = (("observation", (size,)), ("action", (info.action_size,)))
        return (
            Role("actor", info.observation, produces="tanh_gaussian"),
            Role("critic", (size + info.action_size,), "value", has_one_copy=False, concatenates=parts),
        )

    @override
    def environment_problems(self, environment: Environment, info: EnvironmentInfo) -> Iterator[tuple[str, str]]:
        return vectors_needed(self.title, info)

    @override
    def averages_read(self) -> tuple[AverageRole, ...]:
        return (AverageRole("target_critic", of="critic"),)

    def learned_scalars(self) -> Mapping[str, Outline]:
        """The logarithm of the temperature."""
        plan = ParameterPlan((), Constant(value=math.log(self.initial_temperature)), fan_in=1, fan_out=1)
        return {"temperature": Outline("scalar", (), (), parameters={"value": plan})}

    @override
    def trained_roles(self) -> tuple[str, ...]:
        return ("actor", "temperature", "critic") if self.first == "actor" else ("critic", "actor", "temperature")

    @override
    def metrics(self, info: EnvironmentInfo) -> tuple[Metric, ...]:
        return (
            loss("actor/loss", "temperature times log-density, minus value", -math.inf),
            Metric("actor/entropy", "minus the log-density of drawn actions", "nats"),
            Metric("temperature/value", "the temperature, which weighs entropy against value", low=0),
            loss("temperature/loss", "temperature times entropy above its target", -math.inf),
            *CRITICS,
        )

    def evaluations(self) -> tuple[Evaluated, ...]:
        """The actor's loss and the critic's: its target needs the actor's next action. The temperature costs none."""
        actor = Evaluated("actor", Passes.TRAIN), Evaluated("critic", Passes.THROUGH)
        target = Evaluated("actor", Passes.FORWARD), Evaluated("target_critic", Passes.FORWARD)
        critic = *target, Evaluated("critic", Passes.TRAIN)
        return (*actor, *critic) if self.first == "actor" else (*critic, *actor)

    @override
    def build(self, built: BuiltAgent, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        from composer.algorithms.sac_losses import SACProgram

        entropy, order = self.target_entropy_per_action, self.trained_roles()
        return SACProgram(built, info.action_size, entropy, self.critics, order, hyperparameters)
