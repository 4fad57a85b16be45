"""Deterministic policy gradients, DDPG and TD3: the specs. Their losses stand in ``deterministic_program.py``.

The two share every rule; a kind is where its defaults come from. Tests: tests/papers/test_deterministic.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from composer.algorithms.actor_critic_checks import actor_critic_problems
from composer.algorithms.base import Algorithm, Evaluated, OffPolicy, Passes, Program, Roles
from composer.optim import schedules
from composer.optim.schedules import Schedule
from composer.spec.family import Spec
from composer.spec.shape import Shape
from composer.spec.wording import near

if TYPE_CHECKING:
    from composer.blueprint.schema import Blueprint
    from composer.environments.interface import EnvironmentInfo

TARGETS = {"target_critic": "critic", "target_actor": "actor"}
"""Averages by name, and what each is of."""
_PRODUCTS = {"actor": "deterministic_action", "critic": "value"}
LARGEST_STD = 10.0
"""Actions are 2 wide: beyond this all noise is clipped away."""


def _deviation(schedule: Schedule) -> Schedule:
    low, high = schedule.bounds()
    if not 0 <= low <= high <= LARGEST_STD:
        raise ValueError(f"must be in 0 to {LARGEST_STD:g}, got {low:g}" + (f" to {high:g}" if high > low else ""))
    return schedule


class ActionNoise(Spec):
    """Normal noise on actions, white in time; the sum is clipped to [-1, 1]."""

    std: Annotated[Schedule, AfterValidator(_deviation)] = schedules.Constant(value=0)
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

    def network_inputs(self, info: EnvironmentInfo) -> Mapping[str, Shape]:
        """The actor reads observations, the critic observations joined with actions."""
        size = math.prod(info.observation)
        return {"actor": (size,), "critic": (size + info.action_size,)}

    def trained_roles(self) -> tuple[str, ...]:
        """In the order in which they step."""
        return ("critic", "actor") if self.first == "critic" else ("actor", "critic")

    def evaluations(self) -> tuple[Evaluated, ...]:
        """Both losses, the actor's even where its step is delayed: one captured program has no branches."""
        following = Evaluated("target_actor" if self.target_actor else "actor", Passes.FORWARD)
        critic = (following, Evaluated("target_critic", Passes.FORWARD), Evaluated("critic", Passes.TRAIN))
        actor = (Evaluated("actor", Passes.TRAIN), Evaluated("critic", Passes.THROUGH))
        return (*critic, *actor) if self.first == "critic" else (*actor, *critic)

    def problems(self, blueprint: Blueprint) -> Iterator[tuple[str, str]]:
        """Roles, heads and averages that are needed, and roles that are not known."""
        yield from actor_critic_problems(blueprint, self.kind.upper(), _PRODUCTS)
        yield from self._missing_averages(blueprint)

    def _missing_averages(self, blueprint: Blueprint) -> Iterator[tuple[str, str]]:
        name = self.kind.upper()
        for target, of in TARGETS.items():
            found = blueprint.averages.get(target)
            if found is not None and found.of != of:
                yield f"averages.{target}.of", f"{name}'s {target!r} averages {of!r}, got {found.of!r}"
            elif found is None and (target == "target_critic" or self.target_actor):
                meant = near(target, [each for each in blueprint.averages if each not in TARGETS])
                hint = f"; did you mean {target!r}?" if meant else ""
                without = ", or algorithm.target_actor = false" if target == "target_actor" and not meant else ""
                path = f"averages.{meant}" if meant else "averages"
                yield path, f"{name} needs an average {target!r} of {of!r}{hint}{without}"

    def build(self, roles: Roles, info: EnvironmentInfo, seeds: int, device: str) -> Program:
        """The losses over built networks."""
        from composer.algorithms.ddpg_td3_losses import DeterministicProgram

        return DeterministicProgram(roles, self, info.action_size, seeds, device)


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
