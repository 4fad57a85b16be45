"""Deterministic policy gradients, DDPG and TD3: the specs. Their losses are in ``ddpg_td3_losses.py``.

The two share every rule; a kind is where its defaults come from. Tests: tests/papers/test_deterministic.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from composer.algorithms.base import Algorithm, OffPolicy
from composer.algorithms.declared import AverageRole, Evaluated, Passes, Role
from composer.algorithms.environment_checks import vectors_needed
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo
from composer.optim import schedules
from composer.optim.schedules import Bounded, Schedule
from composer.spec.family import Spec

if TYPE_CHECKING:
    from composer.algorithms.program import Program, Roles
    from composer.optim.hyperparameters import Hyperparameters

LARGEST_STD = 10.0
"""Actions are 2 wide: beyond this all noise is clipped away."""


class ActionNoise(Spec):
    """Normal noise on actions, white in time; the sum is clipped to [-1, 1]."""

    std: Annotated[Schedule, Bounded(0, LARGEST_STD)] = schedules.Constant(value=0)
    """Standard deviation in units of the action's box [-1, 1]: a number, or a schedule over gradient updates. 0 is no
    noise."""
    clip: float | None = Field(default=None, gt=0, le=LARGEST_STD)
    """Bound of the noise itself, before it is added."""

    @property
    def is_silent(self) -> bool:
        """Whether there is none."""
        return self.std.bounds()[1] == 0


class DeterministicPolicyGradient(OffPolicy, Algorithm, abstract=True):
    """What deterministic policy gradients have in common: all of it."""

    critics: Literal["minimum", "mean"] = "minimum"
    """What counts of several critics in the target, sample by sample: the one of lowest value, its whole distribution
    (arXiv:1802.09477, SimbaV2), or their mean."""
    actor_critics: Literal["first", "minimum", "mean"] = "minimum"
    """What of several critics the actor climbs: the first alone (arXiv:1802.09477), the lowest value or their mean."""
    first: Literal["critic", "actor"] = "critic"
    """Which steps first. The one that follows sees the step of the other."""
    target_actor: bool = True
    """Whether the next action of a target is that of the average ``target_actor``, and not the actor's own."""
    policy_delay: int = Field(default=1, ge=1, le=1_000_000)
    """The actor steps with each so-many-th update only. Averages move by momenta of their own: kind ``periodic``."""
    exploration: ActionNoise = ActionNoise(std=schedules.Constant(value=0.1))
    """On the actions that collect data."""
    target_noise: ActionNoise = ActionNoise()
    """On the next action of a target."""
    actor_noise: ActionNoise = ActionNoise()
    """On the action whose value the actor climbs."""

    @override
    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        size = math.prod(info.observation)
        return (
            Role("actor", (size,), produces="deterministic_action"),
            Role("critic", (size + info.action_size,), produces="value", has_one_copy=False),
        )

    @override
    def trained_roles(self) -> tuple[str, ...]:
        return ("critic", "actor") if self.first == "critic" else ("actor", "critic")

    def evaluations(self) -> tuple[Evaluated, ...]:
        """Both losses, the actor's even where its step is delayed: one captured program has no branches."""
        following = Evaluated("target_actor" if self.target_actor else "actor", Passes.FORWARD)
        critic = (following, Evaluated("target_critic", Passes.FORWARD), Evaluated("critic", Passes.TRAIN))
        actor = (Evaluated("actor", Passes.TRAIN), Evaluated("critic", Passes.THROUGH))
        return (*critic, *actor) if self.first == "critic" else (*actor, *critic)

    @override
    def environment_problems(self, environment: Environment, info: EnvironmentInfo) -> Iterator[tuple[str, str]]:
        return vectors_needed(self.title, info)

    @override
    def averages_read(self) -> tuple[AverageRole, ...]:
        without = "algorithm.target_actor = false"
        actor = AverageRole("target_actor", of="actor", is_optional=not self.target_actor, alternative=without)
        return AverageRole("target_critic", of="critic"), actor

    @override
    def build(self, roles: Roles, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        from composer.algorithms.ddpg_td3_losses import DeterministicProgram

        return DeterministicProgram(roles, self, info.action_size, hyperparameters)


class DDPG(DeterministicPolicyGradient, kind="ddpg"):
    """Deep deterministic policy gradient, with independent Gaussian exploration.

    The defaults are those of the paper, arXiv:1509.02971, but for its exploration, which is correlated in time there:
    white noise of a tenth of the box's half-width, as in TD3. SimBa's DDPG (arXiv:2410.09754, published code) has
    ``first = "actor"``, no target actor, and noise of the exploration's deviation in both losses.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "ddpg", "target_actor": False, "actor_noise": {"std": 0.1}}


class TD3(DeterministicPolicyGradient, kind="td3"):
    """Twin delayed deep deterministic policy gradient: clipped double critics, smoothed targets, a delayed actor.

    The number of critics is ``networks.critic.copies``, 2 in the paper. The targets move with the actor's steps there:
    ``momentum = { kind = "periodic", every = 2, value = 1.0, at = 0.995 }``. Source: arXiv:1802.09477 and its code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "td3", "policy_delay": 2, "target_noise": {"std": 0.2, "clip": 0.5}}

    actor_critics: Literal["first", "minimum", "mean"] = "first"
    """What of several critics the actor climbs: the first alone (arXiv:1802.09477), the lowest value or their mean."""
    policy_delay: int = Field(default=2, ge=1, le=1_000_000)
    """The actor steps with each so-many-th update only. Averages move by momenta of their own: kind ``periodic``."""
    target_noise: ActionNoise = ActionNoise(std=schedules.Constant(value=0.2), clip=0.5)
    """On the next action of a target: target policy smoothing."""
