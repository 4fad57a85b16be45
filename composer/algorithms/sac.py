"""Soft actor-critic: the spec. Its losses stand in ``sac_program.py``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from composer.algorithms.actor_critic_checks import actor_critic_problems
from composer.algorithms.base import Algorithm, Evaluated, OffPolicy, Passes, Program, Roles
from composer.networks.initializers import Constant
from composer.networks.outline import Outline, ParameterPlan
from composer.spec.shape import Shape
from composer.spec.wording import near

if TYPE_CHECKING:
    from composer.blueprint.schema import Blueprint
    from composer.environments.interface import EnvironmentInfo

TARGET = "target_critic"
_PRODUCTS = {"actor": "tanh_gaussian", "critic": "value"}


class SAC(OffPolicy, Algorithm, kind="sac"):
    """Soft actor-critic with learned temperature, over one critic or several, of values or of their distributions.

    The number of critics is ``networks.critic.copies``: 1 is a single critic, 2 the clipped double critic. The target
    network is the average ``target_critic``. The critic's head says what it learns: a distributional one learns that
    of ``r + discount * (Z - alpha log pi)``. Source: arXiv:1812.05905; order of the steps and temperature loss as in
    SimBa's published code (arXiv:2410.09754); distributional target as in SimbaV2 (arXiv:2502.15280).
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "sac", "batch_size": 256, "update_to_data": 2.0}

    initial_temperature: float = Field(default=1.0, gt=0, le=1e6)
    """The temperature before the first update."""
    target_entropy_per_action: float = Field(default=-1.0, ge=-100, le=100)
    """Target entropy divided by the number of action dimensions: -1 in arXiv:1812.05905, -0.5 in SimBa."""
    critics: Literal["minimum", "mean"] = "minimum"
    """What counts of several critics, sample by sample: the one of lowest value, its whole distribution in the target
    (arXiv:1812.05905, SimbaV2), or their mean (BRO, arXiv:2405.16158)."""

    def network_inputs(self, info: EnvironmentInfo) -> Mapping[str, Shape]:
        """The actor reads observations, the critic observations joined with actions."""
        return {"actor": info.observation, "critic": (math.prod(info.observation) + info.action_size,)}

    def learned_scalars(self) -> Mapping[str, Outline]:
        """The logarithm of the temperature."""
        plan = ParameterPlan((), Constant(value=math.log(self.initial_temperature)), fan_in=1, fan_out=1)
        return {"temperature": Outline("scalar", (), (), parameters={"value": plan})}

    def trained_roles(self) -> tuple[str, ...]:
        """In the order in which they step."""
        return ("actor", "temperature", "critic")

    def evaluations(self) -> tuple[Evaluated, ...]:
        """The actor's loss, then the critic's: its target needs the actor's next action. The temperature costs none."""
        return (
            Evaluated("actor", Passes.TRAIN),
            Evaluated("critic", Passes.THROUGH),
            Evaluated("actor", Passes.FORWARD),
            Evaluated(TARGET, Passes.FORWARD),
            Evaluated("critic", Passes.TRAIN),
        )

    def problems(self, blueprint: Blueprint) -> Iterator[tuple[str, str]]:
        """Roles, heads and averages that SAC needs, and those it does not know."""
        yield from actor_critic_problems(blueprint, "SAC", _PRODUCTS)
        target = blueprint.averages.get(TARGET)
        if target is None:
            meant = near(TARGET, blueprint.averages)
            path = f"averages.{meant}" if meant else "averages"
            hint = f"; did you mean {TARGET!r}?" if meant else ""
            yield path, f"SAC needs an average {TARGET!r} of 'critic'{hint}"
        elif target.of != "critic":
            yield f"averages.{TARGET}.of", f"SAC's {TARGET!r} averages 'critic', got {target.of!r}"

    def build(self, roles: Roles, info: EnvironmentInfo, seeds: int, device: str) -> Program:
        """The losses over built networks."""
        from composer.algorithms.sac_losses import SACProgram

        return SACProgram(roles, info.action_size, self.target_entropy_per_action, self.critics, seeds, device)
