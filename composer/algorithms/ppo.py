"""Proximal policy optimisation: the spec. Its losses are in ``ppo_losses.py``. Tests: tests/papers/test_ppo.py."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.algorithms import novelty as novelties
from composer.algorithms.base import AgentDeclaration, Algorithm
from composer.algorithms.declared import Evaluated, Passes, Role, RolloutPlan
from composer.algorithms.novelty import Novelty
from composer.algorithms.on_policy import OnPolicy
from composer.algorithms.start import Start
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo
from composer.optim import schedules
from composer.optim.schedules import NonNegative, Positive
from composer.spec.metrics import Metric, loss
from composer.spec.without import Without

if TYPE_CHECKING:
    from composer.algorithms.program import BuiltAgent, Program
    from composer.optim.hyperparameters import Hyperparameters

_ROLES = ("actor", "critic")


class PPO(OnPolicy, Algorithm, kind="ppo"):
    """Proximal policy optimisation with the clipped objective, for discrete or continuous actions.

    Actor and critic are separate networks. The draw of a Gaussian policy is stored and learned from; the environment
    plays the nearest action of its box. Each action is kept with the log-density under which it was drawn and with the
    observation as the policy saw it: running statistics that move on change neither, so that the first ratios of a
    rollout are 1, as in CleanRL's code. Source: arXiv:1707.06347, whose settings for continuous control (table 3) are
    the defaults; advantages: arXiv:1506.02438.
    """

    carries_memory: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {
        "kind": "ppo", "rollout_interactions": 128, "epochs": 4, "minibatches": 4, "batch_size": 256
    }  # fmt: skip

    batch_size: int = Field(default=64, ge=1, le=1_048_576)
    """Samples per gradient update: transitions of a rollout (interactions times copies) over ``minibatches``."""
    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    """Decay of the weights of longer returns in an advantage, lambda of arXiv:1506.02438: 0 is one step, 1 is all."""
    normalize_advantages: Annotated[bool, Without(False)] = True
    """Whether advantages have mean 0 and standard deviation 1 in each minibatch, as in the code of OpenAI Baselines."""
    clip_ratio: Annotated[Positive, Without(1e6)] = schedules.Constant(value=0.2)
    """Bound on how far the ratio of new to old probability may move from 1: a number, or a schedule over updates."""
    value_clip: Annotated[Positive | None, Without(None)] = None
    """Bound on how far values may move from those of the rollout, in units of scaled rewards: a number, or a schedule
    over updates. Absent: no bound, as in the paper."""
    entropy_bonus: Annotated[NonNegative, Without(0)] = schedules.Constant(value=0)
    """Weight of the policy's entropy in the actor's loss: a number, or a schedule over updates."""
    novelty: Annotated[Novelty | None, Without(None)] = None
    """An intrinsic reward for new observations, with three more networks (random network distillation)."""

    @property
    @override
    def rollout_plan(self) -> RolloutPlan:
        lengths = self.rollout_interactions, self.epochs, self.minibatches
        return RolloutPlan(*lengths, self.gae_lambda, self.normalize_advantages)

    @override
    @classmethod
    def start(cls, info: EnvironmentInfo) -> Start:
        settings: dict[str, Any] = {
            "rollout_interactions": 256, "epochs": 10, "minibatches": 32, "batch_size": 64 * max(info.tasks, 1),
            "discount": 0.99, "gae_lambda": 0.95, "clip_ratio": 0.2,
        }  # fmt: skip
        if info.discrete:
            fewer = {"rollout_interactions": 128, "epochs": 3, "minibatches": 4, "batch_size": 256}
            settings |= {**fewer, "entropy_bonus": 0.01}
        adam = {"kind": "adam", "learning_rate": 3e-4, "epsilon": 1e-5, "max_gradient_norm": 0.5}
        source = "PPO, arXiv:1707.06347, appendix A; eight copies of the environment"
        optimizers, scaled = dict.fromkeys(_ROLES, adam), {"reward": {"kind": "return_scale"}}
        return Start(settings, source, optimizers, environment={"copies": 8}, normalization=scaled)

    @override
    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        policy = "action_logits" if info.discrete else "gaussian"
        task = Role("actor", info.observation, policy), Role("critic", info.observation, "value")
        return (*task, *(self.novelty.roles(info) if self.novelty else ()))

    @override
    def dormant_roles(self) -> Mapping[str, str]:
        return {} if self.novelty else dict.fromkeys((*novelties.TRAINED, novelties.TARGET), novelties.OPTION)

    @override
    def trained_roles(self) -> tuple[str, ...]:
        return (*_ROLES, *(novelties.TRAINED if self.novelty else ()))

    @override
    def metrics(self, info: EnvironmentInfo) -> tuple[Metric, ...]:
        least = 0.0 if info.discrete else -math.inf
        return (
            loss("actor/loss", "minus the clipped surrogate and the entropy bonus", -math.inf),
            Metric("actor/entropy", "mean entropy of the policy", "nats", least),
            Metric("actor/kl", "Kullback-Leibler divergence of the policy from that of the rollout", "nats", 0),
            Metric("actor/clipped", "share of samples whose ratio of probabilities is clipped", "share", 0, 1),
            Metric("actor/largest_ratio", "largest ratio of probabilities in a batch, or its reciprocal", "", 1),
            loss("critic/loss", "the critic's loss"),
            Metric("critic/value", "mean value that the critic predicts for a batch", "scaled return"),
            Metric("critic/explained_variance", "share of the variance of returns that values explain", high=1),
            *(self.novelty.metrics() if self.novelty else ()),
        )

    def evaluations(self) -> tuple[Evaluated, ...]:
        """One pass of each; the evaluation of a rollout, once for all its epochs, is not counted."""
        task = (Evaluated(role, Passes.TRAIN) for role in _ROLES)
        return (*task, *(self.novelty.evaluations() if self.novelty else ()))

    @override
    def environment_problems(self, environment: Environment, info: EnvironmentInfo) -> Iterator[tuple[str, str]]:
        if not environment.is_simulator:
            yield "environment.kind", f"PPO acts in a simulator, got {environment.kind!r}"

    @override
    def problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        critic = agent.networks.get("critic")
        if self.value_clip is not None and critic is not None and not critic.head.gives_expectation:
            message = f"needs the critic's head 'scalar', got {critic.head.kind!r}: no distributions"
            yield "algorithm.value_clip", message
        yield from self.rollout_problems(agent.environment.copies_per_seed)
        yield from self._memory_problems(agent)
        if "actor" in agent.acting:
            yield "training.acting.actor", "PPO learns from actions of its own actor: an average cannot act for it"
        if self.novelty is not None:
            yield from self.novelty.problems(agent)

    def _memory_problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        """Networks with a memory learn from whole sequences, one per copy and rollout."""
        sizes = {role: agent.networks[role].memory_size for role in _ROLES if role in agent.networks}
        copies = agent.environment.copies_per_seed
        if not any(sizes.values()):
            return
        for role, size in sizes.items():
            if not size:
                message = "one of PPO's networks has a memory, the other none: give both one ('gru', 'lstm')"
                yield f"networks.{role}.trunk", message
        if copies % self.minibatches:
            dealt = f"{copies:,} copies cannot be dealt into {self.minibatches:,} equal minibatches"
            yield "algorithm.minibatches", f"networks with a memory learn from whole sequences, one per copy: {dealt}"

    @override
    def build(self, built: BuiltAgent, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        from composer.algorithms.losses.policies import CategoricalPolicy, GaussianPolicy
        from composer.algorithms.ppo_losses import PPOProgram

        sizes = {role: built.networks[role].memory_size for role in _ROLES}
        return PPOProgram(
            built,
            CategoricalPolicy() if info.discrete else GaussianPolicy(),
            self.clip_ratio.build(hyperparameters),
            self.entropy_bonus.build(hyperparameters),
            None if self.value_clip is None else self.value_clip.build(hyperparameters),
            {} if 0 in sizes.values() else sizes,
            self.rollout_interactions,
            self.novelty.build(built, hyperparameters) if self.novelty else None,
        )
