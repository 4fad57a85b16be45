"""TD7: losses and acting rule over stacked networks.

Source: Fujimoto et al., arXiv:2306.02451, and its released code.
Legend: S seeds, C critics, B batch, E environments, d observation, a action, z features.
Tests: tests/papers/test_td7.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from composer.algorithms.ddpg_td3_losses import GaussianNoise
from composer.algorithms.program import Batch, BuiltAgent, Inputs, Objective, Program
from composer.networks.stacked import Stacked, per_seed
from composer.spec.shape import Shape


@dataclass(frozen=True)
class Settings:
    """Noise, clocks and the shape of the critics' loss."""

    actions: int
    """a"""
    exploration: GaussianNoise
    target_noise: GaussianNoise
    policy_delay: Tensor | None
    """The actor steps every so many updates, ``[S]``."""
    bounds_every: Tensor | None
    """Updates between two new bounds of targets, ``[S]``; None: no bounds."""
    has_checkpoint: bool
    """Whether evaluations use the policy that is kept."""
    linear_from: Tensor
    """Error from which the loss is linear, ``[S, 1, 1]``."""


@dataclass(frozen=True)
class Encoders:
    """f and g: a pair of networks, or of averages of them."""

    state: Stacked
    state_action: Stacked

    def features(self, observation: Tensor, training: bool = False) -> Tensor:
        """f(s), ``[S, B, z]``."""
        features: Tensor = self.state(observation, training)[:, 0]
        return features

    def prediction(self, features: Tensor, action: Tensor, training: bool = False) -> Tensor:
        """g(f(s), a), ``[S, B, z]``."""
        predicted: Tensor = self.state_action(torch.cat([features, action], -1), training)[:, 0]
        return predicted


class TD7Program(Program):
    """Three objectives: encoders, critics on features of fixed encoders, actor."""

    signals: tuple[str, ...] = (
        "encoder/loss",
        "critic/loss",
        "critic/value",
        "critic/lowest_target",
        "critic/highest_target",
        "actor/loss",
        "actor/action_size",
    )
    extras = ("weight",)
    priorities = ("priority",)

    def __init__(self, built: BuiltAgent, settings: Settings) -> None:
        """Over the networks and averages that the spec declares."""
        assert built.updates is not None, "noise and bounds follow the clock of updates"
        self._built, self._updates, self._settings, self._own = built, built.updates, settings, built.tensors
        networks, averages = built.networks, built.averages
        self._online = Encoders(networks["state_encoder"], networks["state_action_encoder"])
        self._fixed, self._target = (
            Encoders(averages[f"{name}_state_encoder"], averages[f"{name}_state_action_encoder"])
            for name in ("fixed", "target")
        )
        self._actor, self._critic = networks["actor"], networks["critic"]
        self._target_actor, self._target_critic = averages["target_actor"], averages["target_critic"]
        self._returns = built.returns["critic"]
        kept = ("checkpoint_actor", "checkpoint_state_encoder") if settings.has_checkpoint else ()
        self._kept = [averages[name] for name in kept]
        self.noise: Mapping[str, Shape] = {"target": (settings.actions,)}
        self.objectives: tuple[Objective, ...] = (
            Objective("state_encoder", self.encoder_loss, also_trains=("state_action_encoder",)),
            Objective("critic", self.critic_loss),
            Objective("actor", self.actor_loss, settings.policy_delay),
        )

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """The policy's action ``[S, E, a]`` on features of the fixed encoder, with ``noise [S, E, a]`` explored."""
        action = self._action(self._actor, observation, self._fixed.features(observation))
        return action if noise is None else self._settings.exploration.add(action, noise, self._built)

    def evaluate(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """The action ``[S, E, a]`` of the policy that is kept, on the features of the encoder that is kept with it."""
        if not self._kept:
            return self.act(observation, None)
        actor, encoder = self._kept
        return self._action(actor, observation, Encoders(encoder, self._fixed.state_action).features(observation))

    @torch.no_grad()
    def keep_policy(self, seeds: Tensor) -> None:
        """Copy actor and fixed encoder, in place."""
        for kept, source in zip(self._kept, (self._actor, self._fixed.state), strict=True):
            for path, value in kept.tensors().items():
                mask = per_seed(seeds.to(value.device), value)
                value.copy_(torch.where(mask, source.tensors()[path], value))

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """Critics read fixed features of the pairs; the next action is that of the target."""
        now, following = (self._fixed.features(each) for each in (batch.observation, batch.next_observation))
        acted = self._following_action(batch, noise)
        pairs = (batch.observation, batch.action, now), (batch.next_observation, acted, following)
        return {
            "state_encoder": Inputs(batch.observation, batch.next_observation),
            "state_action_encoder": Inputs(*(torch.cat([features, action], -1) for _, action, features in pairs)),
            "actor": Inputs(*(torch.cat([seen, features], -1) for seen, _, features in pairs)),
            "critic": Inputs(*(_judged(self._fixed, *pair) for pair in pairs)),
        }

    def encoder_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``mean |g(f(s), a) - f(s')|^2`` over samples and features; no gradient through f(s'). Eq. 2."""
        with torch.no_grad():
            following = self._online.features(batch.next_observation)
        features = self._online.features(batch.observation, training=True)
        predicted = self._online.prediction(features, batch.action, training=True)
        loss: Tensor = (predicted - following).square().mean((1, 2))
        signals["encoder/loss"] = loss.detach()
        return loss

    def critic_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``sum_c mean L(|Q_c - y|)``, ``L(x) = x^2 / 2`` below 1 and ``x`` above, on fixed features. Eq. 7 to 9.

        ``y = r + discount clip(min_c Q'_c)``; reports the largest of a sample's errors as its priority.
        """
        with torch.no_grad():
            target = self._targets(batch, noise)
            features = self._fixed.features(batch.observation)
            seen = _judged(self._fixed, batch.observation, batch.action, features)
        predicted = self._returns.value(self._critic(seen, training=True))
        error, linear_from = (predicted - target[:, None]).abs(), self._settings.linear_from
        each = torch.where(error < linear_from, 0.5 * error.square(), linear_from * error)
        loss: Tensor = (batch.extra["weight"] * each.sum(1)).mean(1)
        signals["critic/loss"], signals["critic/value"] = loss.detach(), predicted.detach().mean((1, 2))
        signals["critic/lowest_target"], signals["critic/highest_target"] = target.amin(1), target.amax(1)
        signals["priority"] = error.detach().amax(1)
        return loss

    def actor_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``-mean Q(s, pi(s))`` over samples and critics, through the fixed state-action encoder. Eq. 10."""
        with torch.no_grad():
            features = self._fixed.features(batch.observation)
        action = self._action(self._actor, batch.observation, features, training=True)
        values = self._returns.value(self._critic(_judged(self._fixed, batch.observation, action, features)))
        loss: Tensor = -values.mean((1, 2))
        signals["actor/loss"], signals["actor/action_size"] = loss.detach(), action.detach().abs().mean((1, 2))
        return loss

    def finish_update(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> None:
        """Extremes of targets grow; every ``bounds_every`` updates they become the bounds."""
        if self._settings.bounds_every is None:
            return
        own = self._own
        own["lowest"].copy_(torch.minimum(own["lowest"], signals["critic/lowest_target"]))
        own["highest"].copy_(torch.maximum(own["highest"], signals["critic/highest_target"]))
        due = torch.remainder(self._updates + 1, self._settings.bounds_every) == 0
        extremes = torch.stack([own["lowest"], own["highest"]], -1)
        own["bounds"].copy_(torch.where(due[:, None], extremes, own["bounds"]))

    def default_extras(self, batch: Batch) -> Mapping[str, Tensor]:
        """Every sample counts alike."""
        return {"weight": torch.ones_like(batch.reward)}

    def _targets(self, batch: Batch, noise: Mapping[str, Tensor]) -> Tensor:
        """``[S, B]``."""
        features = self._target.features(batch.next_observation)
        action = self._following_action(batch, noise)
        seen = _judged(self._target, batch.next_observation, action, features)
        value = self._returns.value(self._target_critic(seen)).amin(1)
        if self._settings.bounds_every is not None:
            low, high = self._own["bounds"].unbind(-1)
            value = value.clamp(low[:, None], high[:, None])
        return batch.reward + batch.bootstrap * value

    def _following_action(self, batch: Batch, noise: Mapping[str, Tensor]) -> Tensor:
        features = self._target.features(batch.next_observation)
        action = self._action(self._target_actor, batch.next_observation, features)
        return self._settings.target_noise.add(action, noise["target"], self._built)

    def _action(self, actor: Stacked, observation: Tensor, features: Tensor, training: bool = False) -> Tensor:
        action: Tensor = actor(torch.cat([observation, features], -1), training)[:, 0]
        return action


def _judged(encoders: Encoders, observation: Tensor, action: Tensor, features: Tensor) -> Tensor:
    """The critics' input ``[s, a, g(f(s), a), f(s)]``, ``[S, B, d + a + 2 z]``; ``features`` are f(s)."""
    return torch.cat([observation, action, encoders.prediction(features, action), features], -1)
