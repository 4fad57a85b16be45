"""Deterministic policy gradients, DDPG and TD3: the specs. Their losses are in ``ddpg_td3_losses.py``.

Both kinds have the same settings and differ in their defaults. Tests: tests/papers/test_deterministic.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from composer.algorithms import behaviour_cloning as cloning
from composer.algorithms.base import AgentDeclaration, Algorithm, OffPolicy
from composer.algorithms.behaviour_cloning import BehaviourCloning
from composer.algorithms.declared import CRITICS, AverageRole, Evaluated, Passes, Role
from composer.algorithms.encoders import features_of, in_order, with_encoder
from composer.algorithms.noise_repetition import NoiseRepetition
from composer.algorithms.pixels import Pixels, dormant, observation_problems, start_from_pixels
from composer.algorithms.start import TWIN_DELAYED, Start
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo
from composer.optim import schedules
from composer.optim.schedules import Bounded, Schedule
from composer.spec.family import Spec
from composer.spec.metrics import Metric, loss
from composer.spec.without import Without

if TYPE_CHECKING:
    from composer.algorithms.ddpg_td3_losses import GaussianNoise, Settings
    from composer.algorithms.program import BuiltAgent, Program
    from composer.optim.hyperparameters import Hyperparameters

LARGEST_STD = 10.0
"""Actions are in [-1, 1]: with more noise nearly every one is clipped to a bound."""


class ActionNoise(Spec):
    """Gaussian noise on actions, independent in time; the sum is clipped to [-1, 1]."""

    std: Annotated[Schedule, Bounded(0, LARGEST_STD), Without(0)] = schedules.Constant(value=0)
    """Standard deviation for actions in [-1, 1]: a number, or a schedule on ``clock``. 0 is no noise."""
    clock: Literal["update", "interaction"] = "update"
    """What a schedule of ``std`` counts: gradient updates, or interactions from the first random action on, as in
    DrQ-v2's code; its key ``updates`` is then a number of interactions."""
    clip: float | None = Field(default=None, gt=0, le=LARGEST_STD)
    """Bound of the noise itself, before it is added."""
    straight_through: Annotated[bool, Without(False)] = False
    """Whether gradients ignore the clipping of the sum to [-1, 1], as in DrQ-v2's code (arXiv:2107.09645)."""

    @property
    def is_silent(self) -> bool:
        """Whether the standard deviation is always 0."""
        return self.std.bounds()[1] == 0

    def build(self, hyperparameters: Hyperparameters) -> GaussianNoise:
        """The noise with its numbers as tensors."""
        from composer.algorithms.ddpg_td3_losses import GaussianNoise

        clip = None if self.clip is None else hyperparameters.number(self.clip, 1, 1)
        return GaussianNoise(self.std.build(hyperparameters), clip, self.clock == "interaction", self.straight_through)


class DeterministicPolicyGradient(OffPolicy, Algorithm, abstract=True):
    """All settings of deterministic policy gradients; the kinds differ in their defaults."""

    critics: Literal["minimum", "mean"] = "minimum"
    """The target of several critics, sample by sample: the return of the critic of lowest value (arXiv:1802.09477,
    SimbaV2), or the mean of all."""
    actor_critics: Literal["first", "minimum", "mean"] = "minimum"
    """The value that the actor maximises: that of the first critic (arXiv:1802.09477), the lowest or the mean."""
    first: Literal["critic", "actor"] = "critic"
    """Which of the two steps first; the other one sees its step."""
    target_actor: Annotated[bool, Without(False)] = True
    """Whether next actions of targets come from the average ``target_actor``, and not from the actor."""
    policy_delay: Annotated[int, Field(ge=1, le=1_000_000), Without(1)] = 1
    """The actor steps every ``policy_delay`` updates. Averages have momenta of their own: see the kind ``periodic``."""
    exploration: ActionNoise = ActionNoise(std=schedules.Constant(value=0.1))
    """Noise on actions during collection."""
    target_noise: ActionNoise = ActionNoise()
    """Noise on next actions of targets."""
    actor_noise: ActionNoise = ActionNoise()
    """Noise on the actions whose value the actor maximises."""
    pixels: Pixels | None = None
    """Learning from pixels, which needs two more networks: an encoder and a projection of its features."""
    behaviour_cloning: Annotated[BehaviourCloning | None, Without(None)] = None
    """The distance from the actions of the data as a part of the actor's loss (TD3+BC, arXiv:2106.06860)."""
    noise_repetition: Annotated[NoiseRepetition | None, Without(None)] = None
    """How long the noise of exploration is held (FlashSAC, arXiv:2604.04539); absent: for one decision."""

    @override
    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        if self.pixels is not None:
            return self.pixels.roles(info, "deterministic_action")
        size = math.prod(info.observation)
        parts = (("observation", (size,)), ("action", (info.action_size,)))
        return (
            Role("actor", (size,), produces="deterministic_action"),
            Role("critic", (size + info.action_size,), "value", has_one_copy=False, concatenates=parts),
        )

    @override
    def trained_roles(self) -> tuple[str, ...]:
        return with_encoder(self._order, self.pixels)

    @property
    def _order(self) -> tuple[str, ...]:
        return ("critic", "actor") if self.first == "critic" else ("actor", "critic")

    @override
    def dormant_roles(self) -> Mapping[str, str]:
        return dormant(self.pixels)

    @override
    def metrics(self, info: EnvironmentInfo) -> tuple[Metric, ...]:
        size = Metric("actor/action_size", "mean magnitude of the policy's actions", low=0, high=1)
        own = loss("actor/loss", "minus the value of the policy's actions", -math.inf)
        return own, size, *((cloning.METRIC,) if self.behaviour_cloning else ()), *CRITICS

    def evaluations(self) -> tuple[Evaluated, ...]:
        """Both losses; that of a delayed actor is computed every update, for a captured program has no branches."""
        following = Evaluated("target_actor" if self.target_actor else "actor", Passes.FORWARD)
        losses = {
            "target": (following, Evaluated("target_critic", Passes.FORWARD)),
            "critic": (Evaluated("critic", Passes.TRAIN),),
            "actor": (Evaluated("actor", Passes.TRAIN), Evaluated("critic", Passes.THROUGH)),
        }
        return in_order(self._order, losses, self.pixels)

    @override
    def environment_problems(self, environment: Environment, info: EnvironmentInfo) -> Iterator[tuple[str, str]]:
        return observation_problems(self.title, info, self.pixels)

    @override
    def problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        return iter(()) if self.pixels is None else self.pixels.problems(agent, self.first)

    @override
    def averages_read(self) -> tuple[AverageRole, ...]:
        without = "algorithm.target_actor = false"
        actor = AverageRole("target_actor", of="actor", is_optional=not self.target_actor, alternative=without)
        return AverageRole("target_critic", of="critic"), actor, *(self.pixels.averages_read() if self.pixels else ())

    @override
    def build(self, built: BuiltAgent, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        from composer.algorithms.ddpg_td3_losses import DeterministicProgram

        return DeterministicProgram(built, features_of(self.pixels, built, info), self.settings(info, hyperparameters))

    def settings(self, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Settings:
        """The settings of the program, with numbers as tensors."""
        import torch

        from composer.algorithms.ddpg_td3_losses import Settings

        noises = {"actor": self.actor_noise, "target": self.target_noise}
        return Settings(
            actions=info.action_size,
            critics=self.critics,
            actor_critics=self.actor_critics,
            exploration=self.exploration.build(hyperparameters),
            noises={name: each.build(hyperparameters) for name, each in noises.items() if not each.is_silent},
            has_target_actor=self.target_actor,
            policy_delay=hyperparameters.number(self.policy_delay, dtype=torch.float64)
            if self.policy_delay > 1
            else None,
            order=self._order,
            cloning=self.behaviour_cloning.build(hyperparameters) if self.behaviour_cloning else None,
            repeated=self.noise_repetition.build(hyperparameters, info.action_size) if self.noise_repetition else None,
        )


class DDPG(DeterministicPolicyGradient, kind="ddpg"):
    """Deep deterministic policy gradient, with independent Gaussian exploration.

    The defaults are those of the paper, arXiv:1509.02971, but for its exploration, which is correlated in time there:
    white noise of a tenth of the box's half-width, as in TD3. SimBa's DDPG (arXiv:2410.09754, published code) has
    ``first = "actor"``, no target actor, and noise of the exploration's deviation in both losses.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "ddpg", "target_actor": False, "actor_noise": {"std": 0.1}}

    @override
    @classmethod
    def start(cls, info: EnvironmentInfo) -> Start:
        settings = {
            "batch_size": 64, "update_to_data": 1.0, "warmup_interactions": 5_000, "discount": 0.99,
            "exploration": {"std": 0.1},
        }  # fmt: skip
        if info.pictures:
            drq = {"batch_size": 256, "update_to_data": 0.5, "warmup_interactions": 2_000, "n_step": 3}
            noise = {"exploration": {"std": 0.1}, "target_noise": {"std": 0.1, "clip": 0.3}, "target_actor": False}
            source = "DrQ-v2's code, arXiv:2107.09645, with the noise that its schedule ends with"
            return start_from_pixels({**settings, **drq, **noise}, source, 1e-4, 0.99)
        rates = {"actor": 1e-4, "critic": 1e-3}
        optimizers = {role: {"kind": "adam", "learning_rate": rate} for role, rate in rates.items()}
        return Start(settings, "DDPG, arXiv:1509.02971", optimizers, momentum=0.999)


class TD3(DeterministicPolicyGradient, kind="td3"):
    """Twin delayed deep deterministic policy gradient: clipped double critics, smoothed targets, a delayed actor.

    The number of critics is ``networks.critic.copies``, 2 in the paper. The targets move with the actor's steps there:
    ``momentum = { kind = "periodic", every = 2, value = 1.0, at = 0.995 }``. Source: arXiv:1802.09477 and its code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "td3", "policy_delay": 2, "target_noise": {"std": 0.2, "clip": 0.5}}

    actor_critics: Literal["first", "minimum", "mean"] = "first"
    """The value that the actor maximises: that of the first critic (arXiv:1802.09477), the lowest or the mean."""
    policy_delay: Annotated[int, Field(ge=1, le=1_000_000), Without(1)] = 2
    """The actor steps every ``policy_delay`` updates. Averages have momenta of their own: see the kind ``periodic``."""
    target_noise: ActionNoise = ActionNoise(std=schedules.Constant(value=0.2), clip=0.5)
    """Noise on next actions of targets: target policy smoothing."""

    @override
    @classmethod
    def start(cls, info: EnvironmentInfo) -> Start:
        with_actor = {"kind": "periodic", "every": 2, "value": 1.0, "at": 0.995}
        if info.pictures:
            source = "TD3, arXiv:1802.09477 and its code, over the encoder of DrQ, arXiv:2004.13649"
            return start_from_pixels(TWIN_DELAYED, source, 3e-4, with_actor)
        return Start(TWIN_DELAYED, "TD3, arXiv:1802.09477 and its code", momentum=with_actor, copies={"critic": 2})
