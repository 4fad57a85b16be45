"""stable-baselines3's SAC as a party: its own ``train`` over its own replay buffer, filled with the same contents.

A plain MLP is built by stable-baselines3 itself. Any other network is put in by a policy: the very modules that this
project builds take the place of the policy's hidden layers. Observations are normalised by its own ``VecNormalize``
where the blueprint normalises them. What stays different: it bounds the log standard deviation by clamping, and lets
the gradient of the actor's loss run into the critic's weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize
from stable_baselines3.sac.policies import SACPolicy
from torch import nn

from composer.study.bench.subjects import DEVICE, count_flops

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.environments.base import EnvironmentInfo
    from composer.networks import Network
    from composer.study.bench.workloads import Workload

_OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class StableBaselinesSubject:
    """One agent of stable-baselines3 that has a full replay buffer."""

    agents = 1

    def __init__(self, blueprint: Blueprint, workload: Workload) -> None:
        """The agent that ``blueprint`` describes, as near as stable-baselines3 comes to it."""
        info = blueprint.environment.describe()
        self._batch = blueprint.algorithm.batch_size
        self._model = _model(blueprint, workload, info)
        self._model.set_logger(Logger(folder=None, output_formats=[]))
        contents, buffer = workload.transitions(info.observation[0], info.action_size), self._model.replay_buffer
        assert buffer is not None
        buffer.observations[:, 0], buffer.next_observations[:, 0] = contents.observation, contents.following
        buffer.actions[:, 0], buffer.rewards[:, 0] = contents.action, contents.reward
        # The buffer takes an end by time limit for none at all, as it should.
        buffer.dones[:, 0], buffer.timeouts[:, 0] = contents.ended, contents.ended
        buffer.full = True

    def update(self) -> None:
        """One gradient step, as its own loop calls it by default."""
        self._model.train(gradient_steps=1, batch_size=self._batch)

    def settle(self) -> None:
        """Nothing: it reads its losses back at every step."""

    def parameters(self) -> Mapping[str, int]:
        """Counts by the names that this project gives to the same networks."""
        model = self._model
        assert model.log_ent_coef is not None
        modules = {"actor": model.actor, "critic": model.critic, "target_critic": model.critic_target}
        counts = {name: sum(value.numel() for value in module.parameters()) for name, module in modules.items()}
        return counts | {"temperature": model.log_ent_coef.numel()}

    def flops(self) -> int:
        """Of one gradient step."""
        return count_flops(self.update)


def _model(blueprint: Blueprint, workload: Workload, info: EnvironmentInfo) -> SAC:
    algorithm: Any = blueprint.algorithm
    optimizer: Any = blueprint.optimizers["critic"]
    momentum: Any = blueprint.averages["target_critic"].momentum
    policy = {
        "optimizer_class": _OPTIMIZERS[optimizer.kind],
        "optimizer_kwargs": {"weight_decay": optimizer.weight_decay} if optimizer.kind == "adamw" else {},
        "n_critics": blueprint.networks["critic"].copies,
    }
    if workload.hidden is None:
        policy |= {"networks": blueprint.networks, "actions": info.action_size, "net_arch": []}
    else:
        policy |= {"net_arch": list(workload.hidden)}
    return SAC(
        SACPolicy if workload.hidden is not None else _OurNetworks,
        _environment(info, normalised=blueprint.normalization.observation.kind != "raw"),
        learning_rate=optimizer.learning_rate.value,
        buffer_size=workload.rows,
        batch_size=algorithm.batch_size,
        tau=1 - momentum.value,
        gamma=algorithm.discount.value_for(info),
        ent_coef=f"auto_{algorithm.initial_temperature}",
        target_entropy=algorithm.target_entropy_per_action * info.action_size,
        policy_kwargs=policy,
        seed=0,
        device=DEVICE,
    )


def _environment(info: EnvironmentInfo, normalised: bool) -> VecEnv:
    environment = DummyVecEnv([lambda: _Spaces(info)])
    return VecNormalize(environment, norm_reward=False) if normalised else environment


class _Spaces(gymnasium.Env[Any, Any]):
    """Tells the sizes; nothing is ever stepped."""

    def __init__(self, info: EnvironmentInfo) -> None:
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, info.observation, np.float32)
        self.action_space = gymnasium.spaces.Box(-1, 1, (info.action_size,), np.float32)


class _OurNetworks(SACPolicy):
    """A policy whose hidden layers are modules of this project; heads are stable-baselines3's."""

    def __init__(self, *args: Any, networks: Mapping[str, Network], actions: int, **rest: Any) -> None:
        self._networks, self._actions = networks, actions
        super().__init__(*args, **rest)

    def make_actor(self, features_extractor: Any = None) -> Any:
        """Replace the actor's latent layers, and its heads by ones as wide as these."""
        actor: Any = super().make_actor(features_extractor)
        actor.latent_pi, width = self._trunk("actor", actor.features_dim)
        actor.mu, actor.log_std = nn.Linear(width, self._actions), nn.Linear(width, self._actions)
        return actor.to(self.device)

    def make_critic(self, features_extractor: Any = None) -> Any:
        """Replace every critic whole."""
        critic = super().make_critic(features_extractor)
        for index in range(critic.n_critics):
            trunk, width = self._trunk("critic", critic.features_extractor.features_dim + self._actions)
            critic.q_networks[index] = nn.Sequential(trunk, nn.Linear(width, 1))
            critic.add_module(f"qf{index}", critic.q_networks[index])
        return critic.to(self.device)

    def _trunk(self, role: str, size: int) -> tuple[nn.Module, int]:
        trunk = self._networks[role].trunk
        return trunk.build((size,)), trunk.outline((size,)).output[0]
