"""METRA: losses and acting rule over stacked networks.

Source: Park et al., arXiv:2310.08887, and its released code, whose order of the steps this is: representation,
multiplier, critics on rewards of the new representation, actor against the new critics, temperature.
Legend: S seeds, C critics, B batch, E environments, d observation without its skill, k skill, a action; F pictures of
c channels.
Tests: tests/papers/test_metra.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from composer.algorithms.losses.critics import critics_loss, joint_return, joint_value
from composer.algorithms.losses.returns import of_only_copy
from composer.algorithms.losses.skilled import Skilled, split
from composer.algorithms.losses.tanh_gaussian import draw, mode, sample
from composer.algorithms.program import Batch, BuiltAgent, Inputs, Objective, Program
from composer.spec.shape import Shape


@dataclass(frozen=True)
class Settings:
    """Sizes, the constraint, and the target of the entropy."""

    actions: int
    """a"""
    skill: int
    """k"""
    frames: int
    """F, where observations are pictures; 0: they are vectors."""
    is_choice: bool
    """Whether skills are one-hot."""
    distance: str
    """``mean`` or ``sum`` of squared differences."""
    slack: Tensor
    """``[S, 1]``"""
    target_entropy: Tensor
    """``[S]``, in nats."""


def skill_reward(step: Tensor, skill: Tensor, is_choice: bool) -> Tensor:
    """``(p(s') - p(s)) . z`` ``[...]`` of differences ``step [..., k]`` and skills ``[..., k]``.

    One-hot skills are centred and scaled first, ``(z - 1/k) k / (k - 1)``.
    """
    if is_choice:
        count = skill.shape[-1]
        skill = (skill - skill.mean(-1, keepdim=True)) * (count / max(count - 1, 1))
    return (step * skill).sum(-1)


def squared_distance(step: Tensor, distance: str) -> Tensor:
    """The ``mean`` or the ``sum`` over k of squared differences ``[..., k]``."""
    squares = step.square()
    return squares.mean(-1) if distance == "mean" else squares.sum(-1)


class METRAProgram(Program):
    """Five objectives: representation, multiplier, critics, actor, temperature."""

    signals: tuple[str, ...] = (
        "representation/loss",
        "representation/reward",
        "representation/distance",
        "representation/constraint",
        "multiplier/value",
        "multiplier/loss",
        "critic/loss",
        "critic/value",
        "actor/loss",
        "actor/entropy",
        "temperature/value",
        "temperature/loss",
    )

    def __init__(self, built: BuiltAgent, settings: Settings) -> None:
        """Over the networks that the spec declares."""
        self._settings = settings
        self._representation = built.networks["representation"]
        self._actor, self._critic = built.networks["actor"], built.networks["critic"]
        self._target, self._returns = built.averages["target_critic"], built.returns["critic"]
        self._log_multiplier, self._log_temperature = built.scalars["multiplier"], built.scalars["temperature"]
        self.noise: Mapping[str, Shape] = {"actor": (settings.actions,), "target": (settings.actions,)}
        self.objectives: tuple[Objective, ...] = (
            Objective("representation", self.representation_loss),
            Objective("multiplier", self.multiplier_loss),
            Objective("critic", self.critic_loss),
            Objective("actor", self.actor_loss),
            Objective("temperature", self.temperature_loss),
        )

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """A draw of the policy ``[S, E, a]`` for observations with skills; its mode without noise."""
        mean, log_std = self._policy(observation)
        return mode(mean) if noise is None else draw(mean, log_std, noise)

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """The representation reads observations without skills; the next action is drawn as for the target."""
        now, following = self._split(batch.observation), self._split(batch.next_observation)
        action = draw(*self._policy(batch.next_observation), noise["target"])
        return {
            "representation": Inputs(now.seen, following.seen),
            "actor": Inputs(now.joined(), following.joined()),
            "critic": Inputs(now.joined(batch.action), following.joined(action)),
        }

    def representation_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``-mean((p(s') - p(s)) . z + multiplier min(slack, 1 - |p(s') - p(s)|^2))``."""
        step, settings = self._step(batch, training=True), self._settings
        reward, distance = self._reward(step, batch), squared_distance(step, settings.distance)
        constraint = torch.minimum(1 - distance, settings.slack)
        loss: Tensor = -(reward + self._log_multiplier.detach().exp() * constraint).mean(1)
        signals["representation/loss"], signals["representation/reward"] = loss.detach(), reward.detach().mean(1)
        signals["representation/distance"] = distance.detach().mean(1)
        signals["representation/constraint"] = constraint.detach().mean(1)
        return loss

    def multiplier_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """The multiplier's logarithm times the constraint before the step of the representation.

        It rises where steps are too long.
        """
        logarithm = self._log_multiplier.squeeze(1)
        loss = logarithm * signals["representation/constraint"]
        signals["multiplier/value"], signals["multiplier/loss"] = logarithm.detach().exp(), loss.detach()
        return loss

    def critic_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``sum_c mean (Q_c - r - discount (min Q' - alpha log pi'))^2 / 2`` with r of the new representation."""
        returns = self._returns
        with torch.no_grad():
            reward = self._reward(self._step(batch), batch)
            action, log_density = sample(*self._policy(batch.next_observation), noise["target"])
            raw = self._target(self._split(batch.next_observation).joined(action))
            bonus = -(self._log_temperature.exp() * log_density)
            target = returns.transform(joint_return(returns, raw, "minimum"), reward, batch.bootstrap, bonus)
        predicted = self._critic(self._split(batch.observation).joined(batch.action), training=True)
        loss = 0.5 * critics_loss(returns, predicted, target, signals)
        signals["critic/loss"] = loss.detach()
        return loss

    def actor_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``mean(alpha log pi - min Q)``. Eq. 9, arXiv:1812.05905."""
        action, log_density = sample(*self._policy(batch.observation, training=True), noise["actor"])
        raw = self._critic(self._split(batch.observation).joined(action))
        value = joint_value(self._returns.value(raw), "minimum")
        loss: Tensor = (self._log_temperature.detach().exp() * log_density - value).mean(1)
        signals["actor/loss"], signals["actor/entropy"] = loss.detach(), -log_density.detach().mean(1)
        return loss

    def temperature_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """The temperature's logarithm times the entropy, that of the actor's loss, above its target."""
        logarithm = self._log_temperature.squeeze(1)
        loss = logarithm * (signals["actor/entropy"] - self._settings.target_entropy)
        signals["temperature/value"], signals["temperature/loss"] = logarithm.detach().exp(), loss.detach()
        return loss

    def _split(self, observation: Tensor) -> Skilled:
        return split(observation, self._settings.skill, self._settings.frames)

    def _step(self, batch: Batch, training: bool = False) -> Tensor:
        """``p(s') - p(s)``, ``[S, B, k]``, of one pass over both."""
        both = torch.cat([batch.observation, batch.next_observation], 1)
        now, following = self._representation(self._split(both).seen, training)[:, 0].chunk(2, 1)
        step: Tensor = following - now
        return step

    def _reward(self, step: Tensor, batch: Batch) -> Tensor:
        return skill_reward(step, self._split(batch.observation).skill, self._settings.is_choice)

    def _policy(self, observation: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
        mean, log_std = of_only_copy(self._actor(self._split(observation).joined(), training))
        return mean, log_std
