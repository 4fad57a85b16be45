"""Random network distillation: the intrinsic reward, its value, and the predictor's loss.

Source: Burda et al., arXiv:1810.12894. Legend: S seeds, B batch, k outputs of the target. Tests:
tests/papers/test_novelty.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from composer.algorithms.losses.returns import of_only_copy
from composer.algorithms.program import Batch, BuiltAgent

CRITIC, PREDICTOR = "intrinsic_critic", "novelty_predictor"
EXTRAS = ("intrinsic_return", "intrinsic_reward", "intrinsic_value")
"""What a batch carries for it, ``[S, B]`` each."""


@dataclass(frozen=True)
class Settings:
    """Numbers of ``Novelty``."""

    reward_coefficient: Tensor
    """``[S, 1]``"""
    normalizes: bool
    """Whether intrinsic rewards are divided by the deviation of their returns."""
    discount: Tensor
    """``[S]``"""
    advantage_coefficient: Tensor
    """``[S, 1]``"""
    loss_coefficient: Tensor
    """``[S]``"""
    predictor_every: Tensor | None
    """Updates for one step of the predictor, float64 ``[S]``; None: every update."""


class NoveltyLosses:
    """How badly ``novelty_predictor`` predicts ``novelty_target``, as a reward and as a loss."""

    signals: tuple[str, ...] = (
        "intrinsic_critic/loss",
        "intrinsic_critic/value",
        "intrinsic_critic/explained_variance",
        "novelty_predictor/loss",
        "novelty_predictor/reward",
    )

    def __init__(self, built: BuiltAgent, settings: Settings) -> None:
        self._critic, self._returns = built.networks[CRITIC], built.returns[CRITIC]
        self._predictor, self._target = built.networks[PREDICTOR], built.networks["novelty_target"]
        self.settings = settings

    @torch.no_grad()
    def reward(self, following: Tensor) -> Tensor:
        """The intrinsic reward ``[S, B]`` of arriving at normalised observations, before it is normalised."""
        return self.settings.reward_coefficient * self._error(following)

    @torch.no_grad()
    def value(self, observation: Tensor) -> Tensor:
        """The value ``[S, B]`` of intrinsic rewards at normalised observations."""
        value: Tensor = self._returns.value(of_only_copy(self._critic(observation)))
        return value

    def plain_extras(self, batch: Batch) -> Mapping[str, Tensor]:
        """One-step returns of rewards that are not normalised, for transitions outside of a rollout."""
        reward, value = self.reward(batch.next_observation), self.value(batch.observation)
        returns = reward + self.settings.discount[:, None] * self.value(batch.next_observation)
        return {"intrinsic_return": returns, "intrinsic_reward": reward, "intrinsic_value": value}

    def predictor_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``loss_coefficient * mean (p(s') - f(s'))^2`` over samples and outputs."""
        loss = self.settings.loss_coefficient * self._error(batch.next_observation, training=True).mean(1)
        signals["novelty_predictor/loss"] = loss.detach()
        signals["novelty_predictor/reward"] = batch.extra["intrinsic_reward"].mean(1)
        return loss

    def _error(self, observation: Tensor, training: bool = False) -> Tensor:
        """``mean (p - f)^2`` over outputs, ``[S, B]``, with gradients of p alone."""
        predicted: Tensor = of_only_copy(self._predictor(observation, training))
        with torch.no_grad():
            target: Tensor = of_only_copy(self._target(observation))
        return (predicted - target).square().mean(-1)
