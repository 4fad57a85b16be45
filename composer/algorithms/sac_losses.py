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

from composer.algorithms.losses.cloning import CloningLoss
from composer.algorithms.losses.critics import critics_loss, joint_return, joint_value
from composer.algorithms.losses.features import Features
from composer.algorithms.losses.noise_repetition import RepeatedNoise, RepeatsNoise
from composer.algorithms.losses.returns import halves, of_only_copy
from composer.algorithms.losses.tanh_gaussian import draw, mode, sample
from composer.algorithms.optimism_losses import OptimisticActor
from composer.algorithms.optimism_losses import Settings as OptimismSettings
from composer.algorithms.program import Batch, BuiltAgent, Inputs, Objective
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
    delay_skips: Literal["step", "following_steps", "optimizer"]
    """What waits in between: ``Objective.skips``."""
    order: tuple[str, ...]
    """Roles in the order in which they step."""
    optimism: OptimismSettings | None = None
    """Of the optimistic actor; None without one."""
    cloning: CloningLoss | None = None
    """What keeps the actor near the data; None where nothing does."""
    repeated: RepeatedNoise | None = None
    """What holds the noise of exploration; None where each decision has its own."""


class SACProgram(RepeatsNoise):
    """Three objectives over an actor, C critics, their target and a learned temperature."""

    def __init__(self, built: BuiltAgent, features: Features, settings: Settings) -> None:
        """Over networks ``actor`` and ``critic``, which read ``features``.

        With a joint batch, the average ``target_critic`` is optional.
        """
        self._features, self._settings, self._critics = features, settings, settings.critics
        self._actor, self._critic = built.networks["actor"], built.networks["critic"]
        self._target, self._returns = built.averages.get("target_critic"), built.returns["critic"]
        self._log_temperature, self._updates = built.scalars["temperature"], built.updates
        self.signals: tuple[str, ...] = (
            "actor/loss",
            "actor/entropy",
            *(() if settings.cloning is None else ("actor/cloning",)),
            "temperature/value",
            "temperature/loss",
            "critic/loss",
            "critic/value",
        )
        optimism, policy = settings.optimism, self._policy
        self.hold_noise(settings.repeated)
        self._optimistic = None if optimism is None else OptimisticActor(built, policy, optimism)
        drawn = {"actor": (settings.actions,), "target": features.draw_shape(settings.actions)}
        self.noise: Mapping[str, Shape] = {**drawn, **features.noise}
        delay = settings.policy_delay, settings.delay_skips
        steps = {
            "actor": Objective("actor", self.actor_loss, *delay),
            "temperature": Objective("temperature", self.temperature_loss, *delay),
            "critic": Objective("critic", self.critic_loss, also_trains=features.trained),
        }
        if self._optimistic is not None:
            self.signals = (*self.signals, *self._optimistic.signals)
            self.noise = {**self.noise, "optimistic_actor": (settings.actions,)}
            steps["optimistic_actor"] = Objective("optimistic_actor", self._optimistic.loss, *delay)
            steps["optimism"] = Objective("optimism", self._optimistic.optimism_loss, *delay)
            steps["regularizer"] = Objective("regularizer", self._optimistic.regularizer_loss, *delay)
        self.objectives: tuple[Objective, ...] = tuple(steps[role] for role in settings.order)

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """A draw of the policy with ``noise [S, E, a]``, of the optimistic one where there is one; its mode without."""
        if self._optimistic is not None and noise is not None:
            return self._optimistic.explore(observation, noise)
        mean, log_std = self._policy(self._features.acting(observation))
        return mode(mean) if noise is None else draw(mean, log_std, noise)

    def target_entropy_bonus(self) -> Tensor:
        """``alpha`` times the target entropy, ``[S]``."""
        return self._temperature().squeeze(1) * self._settings.target_entropy

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """The critic reads observation and action; the next action is drawn as for the target."""
        found, now, following = self._features.inputs(batch)
        action = draw(*self._policy(following.actor), self._features.first(noise["target"]))
        critic = Inputs(*(torch.cat([a, b], -1) for a, b in ((now.critic, batch.action), (following.critic, action))))
        if self._optimistic is not None:
            found["optimistic_actor"] = Inputs(*(self._optimistic.input_of(seen.actor) for seen in (now, following)))
        return {**found, "actor": Inputs(now.actor, following.actor), "critic": critic}

    def actor_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``mean(alpha log pi - Q)`` with the minimum or the mean over critics. Eq. 9, arXiv:1812.05905.

        With ``behaviour_cloning``, weighed against the distance from the actions of the data.
        """
        seen = self._features.of_actor(batch, noise, signals)
        action, log_density = sample(*self._trained_policy(seen.actor, batch), noise["actor"])
        raw = self._critic(torch.cat([seen.critic, action], -1))
        values, cloning = joint_value(self._returns.value(raw), self._critics), self._settings.cloning
        loss: Tensor = (self._temperature().detach() * log_density - values).mean(1)
        if cloning is not None:
            assert self._updates is not None, "the weight follows the clock of updates"
            loss = cloning.add(loss, values, (action, batch.action), self._updates, signals)
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
        returns, features = self._returns, self._features
        with torch.no_grad():
            seen = features.of_target(batch, noise)
            action, log_density = sample(*self._policy(seen.actor), features.draws(noise["target"]))
            following = torch.cat([seen.critic, action], -1)
        now = features.with_action(features.of_critic(batch, noise, signals), batch.action)
        predicted, raw = self._returns_of(now, following)
        with torch.no_grad():
            bonus, (reward, bootstrap) = -(self._temperature() * log_density), features.repeated(batch)
            target = returns.transform(joint_return(returns, raw, self._critics), reward, bootstrap, bonus)
        return critics_loss(returns, predicted, features.target(target), signals, features.critic_views)

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

    def _trained_policy(self, seen: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean and log deviation at what is seen of the observations, in training mode."""
        if not self._settings.joint_actor:
            return self._policy(seen, training=True)
        both, rows = torch.cat([batch.observation, batch.next_observation], 1), batch.observation.shape[1]
        mean, log_std = self._policy(both, training=True)
        return mean[:, :rows], log_std[:, :rows]

    def _policy(self, seen: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
        mean, log_std = of_only_copy(self._actor(seen, training))
        return mean, log_std

    def _temperature(self) -> Tensor:
        return self._log_temperature.exp()
