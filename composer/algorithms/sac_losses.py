"""Soft actor-critic: losses and acting rule over stacked networks.

Source: Haarnoja et al., arXiv:1812.05905, with the temperature loss and by default the order of steps of SimBa's
published code (actor against the old critic, temperature, critic against the new actor and temperature, target).
Legend: S seeds, C critics, B batch, d observation, a action. Tests: tests/papers/test_sac.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from composer.algorithms.losses.critics import critics_loss, joint_return, joint_value
from composer.algorithms.losses.returns import halves, of_only_copy
from composer.algorithms.losses.tanh_gaussian import mode, sample
from composer.algorithms.program import Batch, BuiltAgent, Inputs, Objective, Program
from composer.spec.shape import Shape


@dataclass(frozen=True)
class Settings:
    """How critics are joined, which passes read both halves of a joint batch, and when the actor steps."""

    actions: int
    """a"""
    target_entropy: Tensor
    """``[S]``, in nats."""
    critics: str
    """The return of several critics: ``minimum`` or ``mean``."""
    joint_batch: bool
    """Whether critics read current and next pairs in one pass."""
    joint_actor: bool
    """Whether next observations join the actor's pass in its loss."""
    policy_delay: Tensor | None
    """Actor and temperature step every ``policy_delay [S]`` updates; None: every update."""
    delay_skips: Literal["step", "optimizer"]
    """What waits in between: ``Objective.skips``."""
    order: tuple[str, ...]
    """Roles in the order in which they step."""


class SACProgram(Program):
    """Three objectives over an actor, C critics, their target and a learned temperature."""

    def __init__(self, built: BuiltAgent, settings: Settings) -> None:
        """Over networks ``actor`` and ``critic``; with a joint batch, the average ``target_critic`` is optional."""
        self._settings, self._critics = settings, settings.critics
        self._actor, self._critic = built.networks["actor"], built.networks["critic"]
        self._target, self._returns = built.averages.get("target_critic"), built.returns["critic"]
        self._log_temperature = built.scalars["temperature"]
        self.signals: tuple[str, ...] = (
            "actor/loss",
            "actor/entropy",
            "temperature/value",
            "temperature/loss",
            "critic/loss",
            "critic/value",
        )
        self.noise: Mapping[str, Shape] = {"actor": (settings.actions,), "target": (settings.actions,)}
        delay = settings.policy_delay, settings.delay_skips
        steps = {
            "actor": Objective("actor", self.actor_loss, *delay),
            "temperature": Objective("temperature", self.temperature_loss, *delay),
            "critic": Objective("critic", self.critic_loss),
        }
        self.objectives: tuple[Objective, ...] = tuple(steps[role] for role in settings.order)

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
        action, log_density = sample(*self._trained_policy(batch), noise["actor"])
        values = self._returns.value(self._critic(torch.cat([batch.observation, action], -1)))
        loss: Tensor = (self._temperature().detach() * log_density - joint_value(values, self._critics)).mean(1)
        signals["actor/loss"] = loss.detach()
        signals["actor/entropy"] = -log_density.detach().mean(1)
        return loss

    def temperature_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``alpha (H - target)`` with the entropy H of the actor's loss; alpha, not log alpha, as in SimBa's code."""
        temperature = self._temperature().squeeze(1)
        loss = temperature * (signals["actor/entropy"] - self._settings.target_entropy)
        signals["temperature/value"], signals["temperature/loss"] = temperature.detach(), loss.detach()
        return loss

    def critic_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``sum_c mean L(Z_c, r + discount (Z' - alpha log pi'))`` with the head's loss L. Eq. 5, arXiv:1812.05905."""
        returns = self._returns
        with torch.no_grad():
            action, log_density = sample(*self._policy(batch.next_observation), noise["target"])
            now = torch.cat([batch.observation, batch.action], -1)
            following = torch.cat([batch.next_observation, action], -1)
        predicted, raw = self._returns_of(now, following)
        with torch.no_grad():
            bonus = -(self._temperature() * log_density)
            target = returns.transform(joint_return(returns, raw, self._critics), batch.reward, batch.bootstrap, bonus)
        return critics_loss(returns, predicted, target, signals)

    def _returns_of(self, now: Tensor, following: Tensor) -> tuple[Any, Any]:
        """Raw returns of the critic ``now`` and of its target ``following``, ``[S, C, B, ...]`` each."""
        if not self._settings.joint_batch:
            assert self._target is not None, "only a joint batch does without a target"
            with torch.no_grad():
                raw = self._target(following)
            return self._critic(now, training=True), raw
        # Section 3 of arXiv:1902.05605: statistics of both halves together.
        joint = torch.cat([now, following], 1)
        predicted, own = halves(self._critic(joint, training=True))
        return predicted, own if self._target is None else halves(self._target.on_its_batch(joint))[1]

    def _trained_policy(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean and log deviation at the observations, in training mode."""
        if not self._settings.joint_actor:
            return self._policy(batch.observation, training=True)
        seen, rows = torch.cat([batch.observation, batch.next_observation], 1), batch.observation.shape[1]
        mean, log_std = self._policy(seen, training=True)
        return mean[:, :rows], log_std[:, :rows]

    def _policy(self, observation: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
        mean, log_std = of_only_copy(self._actor(observation, training))
        return mean, log_std

    def _temperature(self) -> Tensor:
        return self._log_temperature.exp()
