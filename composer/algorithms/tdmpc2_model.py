"""The networks of TD-MPC2 as one model: latents, rewards, values and the policy over stacked networks.

Legend: S seeds, C critics, B batch, d observation, z latent, a action. Tests: tests/papers/test_tdmpc2.py.
"""

from __future__ import annotations

import torch
from torch import Tensor

from composer.algorithms.losses.returns import RawOutput, of_only_copy
from composer.algorithms.losses.tanh_gaussian import draw
from composer.algorithms.program import BuiltAgent
from composer.networks.stacked import Stacked


class LatentModel:
    """Encoder, dynamics, reward, critics and policy; in evaluation mode unless a loss asks for training mode."""

    def __init__(self, built: BuiltAgent) -> None:
        """Over the networks that TD-MPC2 declares."""
        networks = built.networks
        self._encoder, self._dynamics = networks["encoder"], networks["dynamics"]
        self._reward, self.critic, self._actor = networks["reward"], networks["critic"], networks["actor"]
        self.rewards, self.returns = built.returns["reward"], built.returns["critic"]
        """How to read the outputs of reward and critics."""

    def encode(self, observation: Tensor, training: bool = False) -> Tensor:
        """``[S, B, d]`` to ``[S, B, z]``."""
        latent: Tensor = of_only_copy(self._encoder(observation, training))
        return latent

    def next(self, latent: Tensor, action: Tensor, training: bool = False) -> Tensor:
        """The latent after an action, ``[S, B, z]``."""
        following: Tensor = of_only_copy(self._dynamics(torch.cat([latent, action], -1), training))
        return following

    def reward(self, latent: Tensor, action: Tensor) -> Tensor:
        """The expected reward, ``[S, B]``."""
        expected: Tensor = self.rewards.value(self.raw_reward(latent, action))
        return expected

    def raw_reward(self, latent: Tensor, action: Tensor, training: bool = False) -> RawOutput:
        """The output of the reward's head, ``[S, B, ...]``."""
        raw: RawOutput = of_only_copy(self._reward(torch.cat([latent, action], -1), training))
        return raw

    def policy(self, latent: Tensor, noise: Tensor) -> Tensor:
        """The policy's action under unit-normal ``noise [S, B, a]``."""
        mean, log_std = self.gaussian(latent)
        return draw(mean, log_std, noise)

    def gaussian(self, latent: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation before the tanh, ``[S, B, a]`` each."""
        mean, log_std = of_only_copy(self._actor(latent, training))
        return mean, log_std

    def values(self, latent: Tensor, action: Tensor) -> Tensor:
        """The values of all critics, ``[S, C, B]``."""
        values: Tensor = self.returns.value(self.raw_values(self.critic, latent, action))
        return values

    def raw_values(self, critic: Stacked, latent: Tensor, action: Tensor, training: bool = False) -> RawOutput:
        """The outputs of critics or their targets, ``[S, C, B, ...]``."""
        raw: RawOutput = critic(torch.cat([latent, action], -1), training)
        return raw
