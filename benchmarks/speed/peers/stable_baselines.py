"""stable-baselines3's SAC as a candidate: its own ``train`` over its own replay buffer, filled with the same contents.

A plain MLP is built by stable-baselines3 itself. Any other network is put in by a policy: the very modules that this
project builds take the place of the policy's hidden layers. Observations are normalised by its own ``VecNormalize``
where the blueprint normalises them. Tests: tests/benchmarks/test_speed_candidates.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.sac.policies import SACPolicy
from torch import nn

from benchmarks.speed.counting import count_flops, size
from benchmarks.speed.peers.spaces import sizes
from benchmarks.speed.workloads.contents import transitions

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.base import AgentWorkload
    from composer.blueprint import Blueprint
    from composer.networks.network import Network

_OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class TrainSubject:
    """One agent with a full replay buffer."""

    units = 1

    def __init__(self, model: Any, batch: int) -> None:
        """``model`` is a learner from a buffer, of stable-baselines3's interface."""
        self.model: Any = quiet(model)
        self._batch = batch

    def call(self) -> None:
        """One gradient step, as its own loop calls it by default."""
        self.model.train(gradient_steps=1, batch_size=self._batch)

    def settle(self) -> None:
        """Nothing is pending: losses are read back at every step."""

    def parameters(self) -> Mapping[str, int]:
        """Parameters by this project's names of the networks."""
        model = self.model
        modules = {"actor": model.actor, "critic": model.critic, "target_critic": model.critic_target}
        counts = {name: size(module.parameters()) for name, module in modules.items()}
        return counts | {"temperature": model.log_ent_coef.numel()}

    def flops(self) -> int:
        """Operations of one gradient step."""
        return count_flops(self.call)


def sac(workload: AgentWorkload, candidate: Candidate) -> TrainSubject:
    """The agent of the workload's blueprint, as closely as stable-baselines3 allows."""
    blueprint = workload.load()
    model = model_of(blueprint, workload, sizes(blueprint))
    fill(model, workload)
    return TrainSubject(model, blueprint.algorithm.batch_size)


def model_of(blueprint: Blueprint, workload: AgentWorkload, environment: VecEnv) -> SAC:
    """SAC over ``environment``."""
    optimizer: Any = blueprint.optimizers["critic"]
    policy: dict[str, Any] = {
        "optimizer_class": _OPTIMIZERS[optimizer.kind],
        "optimizer_kwargs": {"weight_decay": optimizer.weight_decay} if optimizer.kind == "adamw" else {},
        "n_critics": blueprint.networks["critic"].copies,
    }
    if workload.hidden is None:
        actions = blueprint.environment.info.action_size
        policy |= {"networks": blueprint.networks, "actions": actions, "net_arch": []}
    else:
        policy |= {"net_arch": list(workload.hidden)}
    kind = SACPolicy if workload.hidden is not None else _OurNetworks
    return SAC(kind, environment, policy_kwargs=policy, device="cpu", **settings(blueprint, workload))


def settings(blueprint: Blueprint, workload: AgentWorkload) -> dict[str, Any]:
    """SAC's hyper-parameters under stable-baselines3's names."""
    algorithm: Any = blueprint.algorithm
    info = blueprint.environment.info
    momentum: Any = blueprint.averages["target_critic"].momentum
    optimizer: Any = blueprint.optimizers["critic"]
    return {
        "learning_rate": optimizer.learning_rate.value,
        "buffer_size": workload.rows,
        "learning_starts": algorithm.warmup_interactions,
        "batch_size": algorithm.batch_size,
        "tau": 1 - momentum.value,
        "gamma": algorithm.discount.value_for(info),
        "ent_coef": f"auto_{algorithm.initial_temperature}",
        "target_entropy": algorithm.target_entropy_per_action * info.action_size,
        "seed": 0,
    }


def quiet(model: Any) -> Any:
    """Give the model a logger without output."""
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model


def fill(model: Any, workload: AgentWorkload) -> None:
    """Fill the replay buffer with the synthetic contents."""
    buffer = model.replay_buffer
    contents = transitions(workload.rows, workload.load().environment.info)
    buffer.observations[:, 0], buffer.next_observations[:, 0] = contents.observation, contents.following
    buffer.actions[:, 0], buffer.rewards[:, 0] = contents.action, contents.reward
    # The buffer does not treat a time limit as a termination.
    buffer.dones[:, 0], buffer.timeouts[:, 0] = contents.ended, contents.ended
    buffer.full = True


class _OurNetworks(SACPolicy):
    """A policy whose hidden layers are modules of this project; heads are stable-baselines3's."""

    def __init__(self, *args: Any, networks: Mapping[str, Network], actions: int, **rest: Any) -> None:
        self._networks, self._actions = networks, actions
        super().__init__(*args, **rest)

    def make_actor(self, features_extractor: Any = None) -> Any:
        """Replace the actor's latent layers, and its heads by ones as wide as these."""
        actor: Any = super().make_actor(features_extractor)
        actor.latent_pi, width = trunk(self._networks["actor"], actor.features_dim)
        actor.mu, actor.log_std = nn.Linear(width, self._actions), nn.Linear(width, self._actions)
        return actor.to(self.device)

    def make_critic(self, features_extractor: Any = None) -> Any:
        """Replace every critic whole."""
        critic = super().make_critic(features_extractor)
        for index in range(critic.n_critics):
            hidden, width = trunk(self._networks["critic"], critic.features_extractor.features_dim + self._actions)
            critic.q_networks[index] = nn.Sequential(hidden, nn.Linear(width, 1))
            critic.add_module(f"qf{index}", critic.q_networks[index])
        return critic.to(self.device)


def trunk(network: Network, inputs: int) -> tuple[nn.Module, int]:
    """The trunk of one of this project's networks over ``inputs`` numbers, and its width."""
    return network.trunk.build((inputs,)), network.trunk.outline((inputs,)).output[0]
