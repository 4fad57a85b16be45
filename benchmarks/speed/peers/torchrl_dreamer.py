"""TorchRL's DreamerV3 as a candidate: its RSSM with a block GRU, its three losses and their sum, eager.

Sizes and numbers of the loss are those of the blueprint. Tests: tests/benchmarks/test_speed_dreamer.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import torch
from tensordict import TensorDict
from tensordict.nn import ProbabilisticTensorDictModule, ProbabilisticTensorDictSequential, TensorDictSequential
from tensordict.nn import TensorDictModule as On
from torch import Tensor, nn
from torchrl.data import Bounded, Composite, LazyTensorStorage, SliceSampler, TensorDictReplayBuffer, Unbounded
from torchrl.envs.model_based import DreamerEnv
from torchrl.modules import (
    DreamerV3MLP,
    IndependentNormal,
    RSSMPosteriorV3,
    RSSMPriorV3,
    RSSMRolloutV3,
    SymExpTwoHot,
    WorldModelWrapper,
)
from torchrl.objectives import (
    DreamerV3ActorLoss,
    DreamerV3Loss,
    DreamerV3ModelLoss,
    DreamerV3ValueLoss,
    SoftUpdate,
    ValueEstimators,
)

from benchmarks.speed.counting import size
from benchmarks.speed.peers.torchrl import contents
from benchmarks.speed.products import seen
from composer.algorithms.symlog import symlog

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.base import AgentWorkload
    from composer.blueprint import Blueprint

BINS: Final = 255
LATENT: Final = ["state", "belief"]


class Squash(nn.Module):
    """``symlog``."""

    def forward(self, x: Tensor) -> Tensor:
        """Entry by entry."""
        return symlog(x)


class Bound(nn.Module):
    """Mean and deviation of a policy, as the head ``bounded_normal`` has them."""

    def forward(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """``[..., 2 a]`` to two of ``[..., a]``."""
        mean, spread = raw.chunk(2, -1)
        return mean.tanh(), 0.9 * (spread + 2).sigmoid() + 0.1


class Parts:
    """The networks of the agent of a blueprint."""

    def __init__(self, blueprint: Blueprint) -> None:
        """Widths are those of the blueprint's networks."""
        declared: Any = blueprint.algorithm
        info, outlines = blueprint.environment.info, blueprint.agent.sound_outlines
        (self.observed,), self.actions = info.observation, info.action_size
        (self.hidden,) = outlines["encoder"].output
        self.state, self.belief = declared.latent, declared.recurrent
        sizes: dict[str, Any] = {
            "hidden_dim": self.hidden, "rnn_hidden_dim": self.belief, "num_categoricals": declared.variables,
            "num_classes": declared.classes, "unimix": declared.uniform_share,
        }  # fmt: skip
        self.prior = RSSMPriorV3(
            action_shape=(self.actions,), action_dim=self.actions, recurrent_model="block_gru", **sizes
        )
        self.posterior = RSSMPosteriorV3(obs_embed_dim=self.hidden, use_rms_norm=True, **sizes)
        self.encoder = DreamerV3MLP(self.observed, None, depth=3, num_cells=self.hidden)
        self.decoder, self.actor = self._head(self.observed, 3), self._head(2 * self.actions, 3, 0.01)
        self.reward, self.continuation, self.critic = self._head(BINS, 1, 0), self._head(1, 1), self._head(BINS, 3, 0)

    def _head(self, width: int, depth: int, scale: float = 1.0) -> DreamerV3MLP:
        return DreamerV3MLP(self.state + self.belief, width, depth=depth, num_cells=self.hidden, outscale=scale)

    def world_model(self) -> TensorDictSequential:
        """From observations, actions and the latent before them to all that the model's loss reads."""
        latent = [("next", name) for name in LATENT]
        prior_keys = [("next", "prior_logits"), *latent]
        posterior_keys = [("next", "belief"), ("next", "encoded_latents")], [("next", "posterior_logits"), latent[0]]
        return TensorDictSequential(
            On(Squash(), [("next", "observation")], [("next", "squashed")]),
            On(self.encoder, [("next", "squashed")], [("next", "encoded_latents")]),
            RSSMRolloutV3(On(self.prior, [*LATENT, "action"], prior_keys), On(self.posterior, *posterior_keys)),
            On(self.decoder, latent, [("next", "decoded")]),
            On(self.reward, latent, [("next", "reward_logits")]),
            On(self.continuation, latent, [("next", "continue_pred")]),
        )

    def imagination(self) -> DreamerEnv:
        """The model as an environment."""
        transition = On(self.prior, [*LATENT, "action"], ["_", *LATENT])
        logits = On(self.reward, LATENT, ["reward_logits"])
        reward = TensorDictSequential(logits, On(SymExpTwoHot(BINS), ["reward_logits"], ["reward"]))
        made = DreamerEnv(WorldModelWrapper(transition, reward), prior_shape=(self.state,), belief_shape=(self.belief,))
        made.observation_spec = Composite(state=Unbounded(self.state), belief=Unbounded(self.belief))
        made.state_spec = made.observation_spec.clone()
        made.action_spec = Bounded(-1, 1, (self.actions,))
        made.reward_spec = Unbounded((1,))
        return made

    def policy(self) -> ProbabilisticTensorDictSequential:
        """A normal between bounds."""
        return ProbabilisticTensorDictSequential(
            On(self.actor, LATENT, ["raw"]),
            On(Bound(), ["raw"], ["loc", "scale"]),
            ProbabilisticTensorDictModule(
                ["loc", "scale"], ["action"], distribution_class=IndependentNormal, return_log_prob=True
            ),
        )

    def counts(self) -> dict[str, int]:
        """Parameters by this project's names of the networks."""
        held = {
            "encoder": self.encoder, "dynamics": self.prior.rnn, "prior": self.prior.rnn_to_prior_projector,
            "posterior": self.posterior, "decoder": self.decoder, "reward": self.reward,
            "continuation": self.continuation, "actor": self.actor, "critic": self.critic, "slow_critic": self.critic,
        }  # fmt: skip
        return {name: size(module.parameters()) for name, module in held.items()}

    def value(self) -> TensorDictSequential:
        """Logits, and the value that they stand for."""
        logits = On(self.critic, LATENT, ["state_value_logits"])
        return TensorDictSequential(logits, On(SymExpTwoHot(BINS), ["state_value_logits"], ["state_value"]))


class LossSubject:
    """One agent with a full replay buffer."""

    units = 1

    def __init__(self, blueprint: Blueprint, workload: AgentWorkload) -> None:
        """The agent of ``blueprint``, as closely as TorchRL allows."""
        declared: Any = blueprint.algorithm
        parts = Parts(blueprint)
        self._counts = parts.counts()  # The critic's loss takes its parameters out of the module.
        self._moments = declared.sequence
        self._loss = _loss(parts, declared, 1 - declared.discount.value_for(blueprint.environment.info))
        momentum: Any = blueprint.averages["slow_critic"].momentum
        self._target = SoftUpdate(self._loss.value_loss, eps=momentum.value)
        self._optimizer = torch.optim.Adam(self._loss.parameters(), lr=4e-5, eps=1e-20)
        sampler = SliceSampler(slice_len=self._moments, end_key=("next", "done"), cache_values=True)
        self._replay = TensorDictReplayBuffer(
            storage=LazyTensorStorage(workload.rows), sampler=sampler, batch_size=declared.batch_size * self._moments
        )
        held = contents(blueprint, workload)
        held["state"], held["belief"] = (torch.zeros(len(held), size) for size in (parts.state, parts.belief))
        held["is_init"] = torch.cat([torch.ones(1, 1).bool(), held["next", "done"][:-1]])
        self._replay.extend(held)

    def call(self) -> None:
        """Sample sequences, compute the loss, step, update the slow critic."""
        drawn: TensorDict = self._replay.sample().reshape(-1, self._moments)
        losses = self._loss(drawn)
        sum(value.sum() for name, value in losses.items() if name.startswith("loss_")).backward()
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._target.step()

    def settle(self) -> None:
        """Nothing is pending on a CPU."""

    def parameters(self) -> Mapping[str, int]:
        """Parameters by this project's names of the networks."""
        return self._counts

    def flops(self) -> int:
        """Operations of one update."""
        return sum(each.flops for each in seen(self.call))


def dreamer(workload: AgentWorkload, candidate: Candidate) -> LossSubject:
    """The agent of the workload's blueprint."""
    torch.manual_seed(0)
    return LossSubject(workload.load(), workload)


def _loss(parts: Parts, declared: Any, one_minus_discount: float) -> DreamerV3Loss:
    model = DreamerV3ModelLoss(
        parts.world_model(), kl_mode="separate", lambda_representation=declared.representation_weight,
        lambda_continue=1.0, continue_target_scale=1 - one_minus_discount, free_bits=declared.free_nats,
        unimix=declared.uniform_share, reco_symlog=False, detach_output=False,
    )  # fmt: skip
    model.set_keys(pixels="squashed", reco_pixels="decoded")
    goes_on = TensorDictSequential(
        On(parts.continuation, LATENT, ["logit"]), On(nn.Sigmoid(), ["logit"], ["continuation"])
    )
    value = parts.value()
    actor = DreamerV3ActorLoss(
        parts.policy(), value, parts.imagination(), continuation_model=goes_on, use_reinforce=True,
        imagination_horizon=declared.horizon, entropy_bonus=declared.entropy_bonus,
    )  # fmt: skip
    # The continuation has learned the discount.
    actor.make_value_estimator(ValueEstimators.TDLambda, gamma=1.0, lmbda=declared.trace_decay)
    critic = DreamerV3ValueLoss(
        value, "two_hot", actor_loss=actor, slow_critic_regularization=declared.slow_weight, num_value_bins=BINS
    )
    return DreamerV3Loss(
        model, actor, critic, replay_value_loss_weight=declared.replay_value_weight,
        continuation_horizon=1 / one_minus_discount, lmbda=declared.trace_decay,
    )  # fmt: skip
