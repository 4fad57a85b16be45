"""Soft actor-critic: the spec. Its losses are in ``sac_losses.py``. Tests: tests/papers/test_sac.py."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from composer.algorithms import behaviour_cloning as cloning
from composer.algorithms import optimism as optimistic
from composer.algorithms.base import AgentDeclaration, Algorithm, OffPolicy
from composer.algorithms.behaviour_cloning import BehaviourCloning
from composer.algorithms.declared import CRITICS, AverageRole, Evaluated, Passes, Role
from composer.algorithms.encoders import SharedEncoder, features_of, in_order, with_encoder
from composer.algorithms.noise_repetition import NoiseRepetition
from composer.algorithms.optimism import Optimism
from composer.algorithms.pixels import Pixels, dormant, observation_problems, start_from_pixels
from composer.algorithms.start import Start
from composer.algorithms.task_embedding import TaskEmbedding, task_problems
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo
from composer.networks.initializers import Constant
from composer.networks.outline import Outline, ParameterPlan
from composer.spec.metrics import Metric, loss
from composer.spec.without import Without

if TYPE_CHECKING:
    from composer.algorithms.program import BuiltAgent, Program
    from composer.algorithms.sac_losses import Settings
    from composer.optim.hyperparameters import Hyperparameters


class SAC(OffPolicy, Algorithm, kind="sac"):
    """Soft actor-critic with learned temperature, over one critic or several, of values or of their distributions.

    The number of critics is ``networks.critic.copies``: 1 is a single critic, 2 the clipped double critic. The target
    network is the average ``target_critic``, which a joint batch can do without. With a distributional head the critic
    learns the distribution of
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
    joint_batch: bool = False
    """Whether the critic reads current and next pairs in one pass in training mode, so that batch norm normalises both
    by their common statistics (CrossQ, arXiv:1902.05605). Without the average ``target_critic``, targets come from the
    same pass; with it, from a pass of the average over the same joint batch (XQC, arXiv:2509.25174), which leaves the
    average's running statistics alone."""
    joint_actor: Annotated[bool, Without(False)] = False
    """Whether next observations join the actor's pass in its loss, for its statistics alone (FlashSAC,
    arXiv:2604.04539)."""
    policy_delay: Annotated[int, Field(ge=1, le=1_000_000), Without(1)] = 1
    """The actor and the temperature step every ``policy_delay`` updates."""
    delay_skips: Literal["step", "following_steps", "optimizer"] = "step"
    """What waits in between: the whole ``step``, statistics of the actor too, taken at update ``policy_delay`` at first
    (CrossQ); the ``following_steps``, the same taken at the first update (FlashSAC); or the ``optimizer`` alone, which
    steps at the first update (XQC)."""
    pixels: Pixels | None = None
    """Learning from pixels, which needs two more networks: an encoder and a projection of its features."""
    task_embedding: Annotated[TaskEmbedding | None, Without(None)] = None
    """A learned vector for each of several tasks, beside the observation, with its network (BRC, arXiv:2505.23150)."""

    optimism: Annotated[Optimism | None, Without(None)] = None
    """An optimistic actor that collects the data, with its network and two learned weights (BRO)."""
    behaviour_cloning: Annotated[BehaviourCloning | None, Without(None)] = None
    """The distance from the actions of the data as a part of the actor's loss (SimbaV2 on offline data)."""
    noise_repetition: Annotated[NoiseRepetition | None, Without(None)] = None
    """How long the noise of exploration is held (FlashSAC, arXiv:2604.04539); absent: for one decision."""

    @property
    def encoder(self) -> SharedEncoder | None:
        """What is between observations and the networks that act and evaluate."""
        return self.pixels or self.task_embedding

    @property
    @override
    def joins_batches(self) -> bool:
        return self.joint_batch

    @override
    @classmethod
    def start(cls, info: EnvironmentInfo) -> Start:
        settings = {
            "batch_size": 256, "update_to_data": 1.0, "warmup_interactions": 5_000, "discount": 0.99,
            "initial_temperature": 1.0, "target_entropy_per_action": -1.0,
        }  # fmt: skip
        if info.pictures:
            drq = {"batch_size": 128, "warmup_interactions": 1_000, "initial_temperature": 0.1}
            return start_from_pixels({**settings, **drq}, "DrQ's code, arXiv:2004.13649, with one view", 1e-3, 0.99)
        return Start(settings, "SAC, arXiv:1812.05905", copies={"critic": 2})

    @override
    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        if self.encoder is not None:
            return self.encoder.roles(info, "tanh_gaussian")
        size = math.prod(info.observation)
        parts = (("observation", (size,)), ("action", (info.action_size,)))
        return (
            Role("actor", info.observation, produces="tanh_gaussian"),
            *(() if self.optimism is None else (self.optimism.role(info),)),
            Role("critic", (size + info.action_size,), "value", has_one_copy=False, concatenates=parts),
        )

    @override
    def environment_problems(self, environment: Environment, info: EnvironmentInfo) -> Iterator[tuple[str, str]]:
        yield from observation_problems(self.title, info, self.pixels)
        yield from task_problems(info, self.task_embedding)

    @override
    def problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        if self.encoder is not None:
            yield from self.encoder.problems(agent, self.first)
            if self.optimism is not None:
                yield "algorithm.optimism", f"{self.encoder.words} there is no optimistic actor: leave it out"
            for key in ("joint_batch", "joint_actor"):
                if getattr(self, key):
                    apart = "present and next observations are read apart: leave it out"
                    yield f"algorithm.{key}", f"{self.encoder.words}, {apart}"
        elif self.optimism is not None:
            yield from self.optimism.problems(agent)

    @override
    def dormant_roles(self) -> Mapping[str, str]:
        more = {"optimistic_actor": optimistic.OPTION} if self.optimism is None else {}
        return {**dormant(self.pixels, self.task_embedding), **more}

    @override
    def averages_read(self) -> tuple[AverageRole, ...]:
        joint = "algorithm.joint_batch = true"
        target = AverageRole("target_critic", of="critic", is_optional=self.joint_batch, alternative=joint)
        return (target, *(self.encoder.averages_read() if self.encoder else ()))

    def learned_scalars(self) -> Mapping[str, Outline]:
        """The logarithm of the temperature, and the weights of optimism."""
        plan = ParameterPlan((), Constant(value=math.log(self.initial_temperature)), fan_in=1, fan_out=1)
        temperature = {"temperature": Outline("scalar", (), (), parameters={"value": plan})}
        return {**temperature, **(self.optimism.learned_scalars() if self.optimism else {})}

    @override
    def trained_roles(self) -> tuple[str, ...]:
        return with_encoder(self._order, self.encoder)

    @property
    def _order(self) -> tuple[str, ...]:
        of_actor = "actor", "temperature"
        order = (*of_actor, "critic") if self.first == "actor" else ("critic", *of_actor)
        return order if self.optimism is None else (*order, *optimistic.ROLES)

    @override
    def metrics(self, info: EnvironmentInfo) -> tuple[Metric, ...]:
        return (
            loss("actor/loss", "temperature times log-density, minus value", -math.inf),
            Metric("actor/entropy", "minus the log-density of drawn actions", "nats"),
            *((cloning.METRIC,) if self.behaviour_cloning else ()),
            Metric("temperature/value", "the temperature, which weighs entropy against value", low=0),
            loss("temperature/loss", "temperature times entropy above its target", -math.inf),
            *CRITICS,
            *(self.optimism.metrics() if self.optimism else ()),
        )

    def evaluations(self) -> tuple[Evaluated, ...]:
        """The actor's loss and the critic's: its target needs the actor's next action. The temperature costs none."""
        batches = 2 if self.joint_batch else 1
        actor = Evaluated("actor", Passes.TRAIN, 2 if self.joint_actor else 1), Evaluated("critic", Passes.THROUGH)
        target = Evaluated("actor", Passes.FORWARD), Evaluated("target_critic", Passes.FORWARD, batches)
        critic = (Evaluated("critic", Passes.TRAIN, batches),)
        found = in_order(self._order, {"actor": actor, "target": target, "critic": critic}, self.encoder)
        return (*found, *(self.optimism.evaluations() if self.optimism else ()))

    @override
    def build(self, built: BuiltAgent, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        from composer.algorithms.sac_losses import SACProgram

        return SACProgram(built, features_of(self.encoder, built, info), self.settings(info, hyperparameters))

    def settings(self, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Settings:
        """The settings of the program, with numbers as tensors."""
        import torch

        from composer.algorithms.sac_losses import Settings

        delay = hyperparameters.number(self.policy_delay, dtype=torch.float64) if self.policy_delay > 1 else None
        return Settings(
            actions=info.action_size,
            target_entropy=hyperparameters.number(info.action_size * self.target_entropy_per_action),
            critics=self.critics,
            joint_batch=self.joint_batch,
            joint_actor=self.joint_actor,
            policy_delay=delay,
            delay_skips=self.delay_skips,
            order=self._order,
            optimism=self.optimism.settings(info, hyperparameters) if self.optimism else None,
            cloning=self.behaviour_cloning.build(hyperparameters) if self.behaviour_cloning else None,
            repeated=self.noise_repetition.build(hyperparameters, info.action_size) if self.noise_repetition else None,
        )
