"""Soft actor-critic: losses and acting rule over stacked networks.

Source: Haarnoja et al., arXiv:1812.05905, with the temperature loss and by default the order of steps of SimBa's
published code (actor against the old critic, temperature, critic against the new actor and temperature, target).
Legend: S seeds, C critics, B batch, d observation, a action. Tests: tests/papers/test_sac.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from composer.algorithms.losses.critics import critics_loss, joint_return, joint_value
from composer.algorithms.losses.returns import of_only_copy
from composer.algorithms.losses.tanh_gaussian import mode, sample
from composer.algorithms.program import Batch, BuiltAgent, Inputs, Objective, Program
from composer.optim.hyperparameters import Hyperparameters
from composer.spec.shape import Shape


class SACProgram(Program):
    """Three objectives over an actor, C critics, their target and a learned temperature."""

    def __init__(
        self,
        built: BuiltAgent,
        actions: int,
        target_entropy_per_action: float,
        critics: str,
        order: tuple[str, ...],
        hyperparameters: Hyperparameters,
    ) -> None:
        """``actions`` is a; ``critics`` joins critics by ``minimum`` or ``mean``; roles step in ``order``."""
        self._actor, self._critic = built.networks["actor"], built.networks["critic"]
        self._target, self._returns = built.averages["target_critic"], built.returns["critic"]
        self._critics = critics
        self._log_temperature = built.scalars["temperature"]
        self._target_entropy = hyperparameters.number(actions * target_entropy_per_action)
        self.signals: tuple[str, ...] = (
            "actor/loss",
            "actor/entropy",
            "temperature/value",
            "temperature/loss",
            "critic/loss",
            "critic/value",
        )
        self.noise: Mapping[str, Shape] = {"actor": (actions,), "target": (actions,)}
        losses = {"actor": self.actor_loss, "temperature": self.temperature_loss, "critic": self.critic_loss}
        self.objectives: tuple[Objective, ...] = tuple(Objective(role, losses[role]) for role in order)

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """A draw of the policy with ``noise [S, E, a]``; its mode without."""
        mean, log_std = self._policy(observation)
        return mode(mean) if noise is None else sample(mean, log_std, noise)[0]

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """The critic reads observation and action; the next action is drawn as for the target."""
        action, _ = sample(*self._policy(batch.next_observation), noise["target"])
        now = torch.cat([batch.observation, batch.action], -1)
        following = torch.cat([batch.next_observation, action], -1)
        return {"actor": Inputs(batch.observation, batch.next_observation), "critic": Inputs(now, following)}

    def actor_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``mean(alpha log pi - Q)`` with the minimum or the mean over critics. Eq. 9, arXiv:1812.05905."""
        action, log_density = sample(*self._policy(batch.observation, training=True), noise["actor"])
        values = self._returns.value(self._critic(torch.cat([batch.observation, action], -1)))
        loss: Tensor = (self._temperature().detach() * log_density - joint_value(values, self._critics)).mean(1)
        signals["actor/loss"] = loss.detach()
        signals["actor/entropy"] = -log_density.detach().mean(1)
        return loss

    def temperature_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``alpha (H - target)`` with the entropy H of the actor's loss; alpha, not log alpha, as in SimBa's code."""
        temperature = self._temperature().squeeze(1)
        loss = temperature * (signals["actor/entropy"] - self._target_entropy)
        signals["temperature/value"], signals["temperature/loss"] = temperature.detach(), loss.detach()
        return loss

    def critic_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``sum_c mean L(Z_c, r + discount (Z' - alpha log pi'))`` with the head's loss L. Eq. 5, arXiv:1812.05905."""
        returns = self._returns
        with torch.no_grad():
            action, log_density = sample(*self._policy(batch.next_observation), noise["target"])
            raw = self._target(torch.cat([batch.next_observation, action], -1))
            bonus = -(self._temperature() * log_density)
            target = returns.transform(joint_return(returns, raw, self._critics), batch.reward, batch.bootstrap, bonus)
        predicted = self._critic(torch.cat([batch.observation, batch.action], -1), training=True)
        return critics_loss(returns, predicted, target, signals)

    def _policy(self, observation: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
        mean, log_std = of_only_copy(self._actor(observation, training))
        return mean, log_std

    def _temperature(self) -> Tensor:
        return self._log_temperature.exp()
