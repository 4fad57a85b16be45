"""stable-baselines3's DQN as a candidate, its ``CnnPolicy`` over a replay buffer of pictures.

Nature's convolutions are built by stable-baselines3 itself; any other trunk is this project's module in the place of
its features extractor. Tests: tests/benchmarks/test_speed_candidates.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, NatureCNN

from benchmarks.speed.counting import count_flops, size
from benchmarks.speed.peers.spaces import sizes
from benchmarks.speed.peers.stable_baselines import quiet
from benchmarks.speed.workloads.contents import pictures, stacks

if TYPE_CHECKING:
    from torch import Tensor

    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.base import AgentWorkload
    from composer.blueprint import Blueprint
    from composer.networks.network import Network

UNBOUNDED = 1e9
SMALLEST = 36
"""Pixels of the smallest picture into which Nature's convolutions fit."""


class OurTrunk(BaseFeaturesExtractor):
    """A trunk of this project on pictures of bytes."""

    def __init__(self, observation_space: gymnasium.Space[Any], network: Network) -> None:
        """A trunk for the whole observation."""
        shape = tuple(observation_space.shape or ())
        super().__init__(observation_space, network.trunk.outline(shape).output[0])
        self.trunk = network.trunk.build(shape)

    def forward(self, observations: Tensor) -> Tensor:
        """Features ``[B, n]``."""
        features: Tensor = self.trunk(observations)
        return features


class ValueSubject:
    """One agent with a full replay buffer."""

    units = 1

    def __init__(self, model: Any, batch: int) -> None:
        """``batch`` samples a gradient step."""
        self._model: Any = quiet(model)
        self._batch = batch

    def call(self) -> None:
        """One gradient step, without the copy of the target network, which is rare."""
        self._model.train(gradient_steps=1, batch_size=self._batch)

    def settle(self) -> None:
        """Nothing is pending: the loss is read back at every step."""

    def parameters(self) -> Mapping[str, int]:
        """Parameters by this project's names of the networks."""
        held = {"value": self._model.q_net, "target_value": self._model.q_net_target}
        return {name: size(module.parameters()) for name, module in held.items()}

    def flops(self) -> int:
        """Operations of one gradient step."""
        return count_flops(self.call)


def dqn(workload: AgentWorkload, candidate: Candidate) -> ValueSubject:
    """The agent of the workload's blueprint, as closely as stable-baselines3 allows."""
    blueprint = workload.load()
    algorithm: Any = blueprint.algorithm
    optimizer: Any = blueprint.optimizers["value"]
    info = blueprint.environment.info
    model: Any = DQN(
        "CnnPolicy",
        sizes(blueprint),
        learning_rate=optimizer.learning_rate.value,
        buffer_size=workload.rows,
        batch_size=algorithm.batch_size,
        gamma=algorithm.update_schedule(info).discount,
        max_grad_norm=UNBOUNDED,
        policy_kwargs=_policy(blueprint),
        seed=0,
        device="cpu",
    )
    film, buffer = pictures(workload.rows, info), model.replay_buffer
    seen = stacks(film, info.stacked_frames)
    buffer.observations[:, 0], buffer.next_observations[:, 0] = seen[:-1], seen[1:]
    buffer.actions[:, 0, 0], buffer.rewards[:, 0] = film.action, film.reward
    buffer.dones[:, 0], buffer.timeouts[:, 0] = film.ended, film.ended
    buffer.full = True
    return ValueSubject(model, algorithm.batch_size)


def _policy(blueprint: Blueprint) -> dict[str, Any]:
    network = blueprint.networks["value"]
    optimizer: Any = blueprint.optimizers["value"]
    adam, numbers = optimizer.kind == "adam", {"eps": optimizer.epsilon}
    told: dict[str, Any] = {
        "net_arch": [],
        "optimizer_class": torch.optim.Adam if adam else torch.optim.RMSprop,
        "optimizer_kwargs": numbers if adam else {**numbers, "alpha": optimizer.beta2, "centered": optimizer.centered},
    }
    shape = blueprint.environment.info.observation
    if min(shape[1:]) >= SMALLEST and network.trunk.outline(shape).count() == _nature(shape):
        return told
    return told | {"features_extractor_class": OurTrunk, "features_extractor_kwargs": {"network": network}}


def _nature(shape: tuple[int, ...]) -> int:
    """Parameters of stable-baselines3's own trunk."""
    return size(NatureCNN(gymnasium.spaces.Box(0, 255, shape, np.uint8)).parameters())
