"""The optimistic actor of BRO: its policy and the losses of its network and its two weights.

Source: Nauman et al., arXiv:2405.16158, and its released code, naumix/BiggerRegularizedOptimistic, jaxrl/bro/actor.py.
Legend: S seeds, B batch, a action, d observation. Tests: tests/papers/test_optimism.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from composer.algorithms.losses.returns import Returns
from composer.algorithms.losses.tanh_gaussian import draw
from composer.algorithms.program import Batch, BuiltAgent

Policy = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From ``[S, B, d]`` to the mean and the logarithm of the standard deviation, ``[S, B, a]`` each."""


@dataclass(frozen=True)
class Settings:
    """Numbers of ``Optimism``."""

    actions: int
    """a"""
    target_kl: Tensor
    """For each action dimension, ``[S]``."""
    log_std_scale: Tensor
    """``[S, 1, 1]``"""
    bounds: tuple[float, float]
    """Logarithms of the least and the largest weight."""


class OptimisticActor:
    """Shifts the policy of the actor, over two critics."""

    signals: tuple[str, ...] = (
        "optimistic_actor/loss",
        "optimistic_actor/kl",
        "optimistic_actor/spread",
        "optimism/value",
        "optimism/loss",
        "regularizer/value",
        "regularizer/loss",
    )

    def __init__(self, built: BuiltAgent, policy: Policy, settings: Settings) -> None:
        """``policy`` is the actor's."""
        self._network, self._critic = built.networks["optimistic_actor"], built.networks["critic"]
        self._returns: Returns[Any] = built.returns["critic"]
        self._weights = {name: built.scalars[name] for name in ("optimism", "regularizer")}
        self._policy, self._settings = policy, settings

    def explore(self, observation: Tensor, noise: Tensor) -> Tensor:
        """Actions ``[S, E, a]`` with ``noise [S, E, a]``."""
        mean, log_std = self._policy(observation)
        return self._sample(mean + self._shift(observation, mean), log_std, noise)

    def input_of(self, observation: Tensor) -> Tensor:
        """What the network reads, ``[S, B, d + a]``."""
        return torch.cat([observation, self._policy(observation)[0]], -1)

    def loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``mean (-(mean Q + b |Q1 - Q2| / 2) + c KL)``; differences of distributions quantile by quantile."""
        with torch.no_grad():
            mean, log_std = self._policy(batch.observation)
        shift = self._shift(batch.observation, mean, training=True)
        action = self._sample(mean + shift, log_std, noise["optimistic_actor"])
        raw = self._critic(torch.cat([batch.observation, action], -1))
        spread = self._returns.distance(raw) / 2
        # Equal standard deviations leave the means' distance.
        kl = ((shift / log_std.exp()).square().sum(-1) / 2).mean(1)
        upper = self._returns.value(raw).mean(1) + self._weight("optimism").detach() * spread
        loss: Tensor = self._weight("regularizer").detach()[:, 0] * kl - upper.mean(1)
        signals["optimistic_actor/loss"], signals["optimistic_actor/kl"] = loss.detach(), kl.detach()
        signals["optimistic_actor/spread"] = spread.detach().mean(1)
        return loss

    def optimism_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``b (KL / a - target)``: a large divergence lowers b."""
        return self._weight_loss("optimism", 1.0, signals)

    def regularizer_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``-c (KL / a - target)``: a large divergence raises c."""
        return self._weight_loss("regularizer", -1.0, signals)

    def _weight_loss(self, name: str, sign: float, signals: dict[str, Tensor]) -> Tensor:
        excess = signals["optimistic_actor/kl"] / self._settings.actions - self._settings.target_kl
        weight = self._weight(name)[:, 0]
        loss = sign * weight * excess
        signals[f"{name}/value"], signals[f"{name}/loss"] = weight.detach(), loss.detach()
        return loss

    def _weight(self, name: str) -> Tensor:
        """The weight itself, ``[S, 1]``."""
        low, high = self._settings.bounds
        return (low + (high - low) / 2 * (1 + torch.tanh(self._weights[name]))).exp()

    def _shift(self, observation: Tensor, mean: Tensor, training: bool = False) -> Tensor:
        shift: Tensor = self._network(torch.cat([observation, mean], -1), training)[:, 0]
        return shift

    def _sample(self, mean: Tensor, log_std: Tensor, noise: Tensor) -> Tensor:
        return draw(mean, log_std + self._settings.log_std_scale, noise)
