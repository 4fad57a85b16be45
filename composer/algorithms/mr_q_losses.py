"""MR.Q: losses and acting rule over stacked networks.

Source: Fujimoto et al., arXiv:2501.16142, and its released code.
Legend: S seeds, C critics, B batch, E environments, K steps of the unrolled model, d observation, a action, z features.
Tests: tests/papers/test_mr_q.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from composer.algorithms.ddpg_td3_losses import GaussianNoise
from composer.algorithms.losses.policies import one_hot
from composer.algorithms.losses.two_hot import SymexpTwoHot
from composer.algorithms.program import Batch, BuiltAgent, Inputs, Objective, Program
from composer.networks.stacked import Stacked
from composer.spec.shape import Shape

FUTURE = ("future/action", "future/observation", "future/reward", "future/terminated", "future/alive")


@dataclass(frozen=True)
class Settings:
    """Weights of losses, noise, and what actions are."""

    actions: int
    """a"""
    discrete: bool
    """Whether actions are one-hot."""
    horizon: int
    """K"""
    bins: SymexpTwoHot
    weights: tuple[Tensor, ...]
    """Of predicted features, rewards and terminations, ``[S]`` each."""
    exploration: GaussianNoise
    target_noise: GaussianNoise
    pre_tanh_weight: Tensor
    """``[S]``"""
    temperature: Tensor
    """``[S, 1, 1]``"""
    by_policy: bool
    """Whether priorities are errors of the policy's actions."""


@dataclass(frozen=True)
class Encoders:
    """f and g: a pair of networks, or of averages of them."""

    state: Stacked
    state_action: Stacked

    def features(self, observation: Tensor, training: bool = False) -> Tensor:
        """f(s), ``[S, B, z]``."""
        features: Tensor = self.state(observation, training)[:, 0]
        return features

    def joint(self, features: Tensor, action: Tensor, training: bool = False) -> Tensor:
        """g(f(s), a), ``[S, B, z]``."""
        joint: Tensor = self.state_action(torch.cat([action, features], -1), training)[:, 0]
        return joint


class MRQProgram(Program):
    """Three objectives: encoders and model in bursts, critics and actor on their features."""

    signals: tuple[str, ...] = (
        "encoder/loss",
        "encoder/latent_loss",
        "encoder/reward_loss",
        "critic/loss",
        "critic/value",
        "critic/reward_scale",
        "actor/loss",
        "actor/action_size",
    )
    extras = ("weight",)
    burst_extras = FUTURE
    priorities = ("priority",)

    def __init__(self, built: BuiltAgent, settings: Settings) -> None:
        """Over the networks and averages that the spec declares."""
        self._built, self._settings, self._own = built, settings, built.tensors
        networks, averages = built.networks, built.averages
        self._online = Encoders(networks["state_encoder"], networks["state_action_encoder"])
        self._target = Encoders(averages["target_state_encoder"], averages["target_state_action_encoder"])
        self._model, self._actor, self._critic = (networks[role] for role in ("model", "actor", "critic"))
        self._target_actor, self._target_critic = averages["target_actor"], averages["target_critic"]
        self._returns = built.returns["critic"]
        draws, actions = ("target", "target_gumbel", "gumbel"), settings.actions
        self.noise: Mapping[str, Shape] = {name: (actions,) for name in draws[: 3 if settings.discrete else 1]}
        self.exploration_noise = (2 * actions,) if settings.discrete else (actions,)
        self.evaluation_noise = (actions,) if settings.discrete else None
        encoders = ("state_action_encoder", "model")
        self.objectives: tuple[Objective, ...] = (
            Objective("state_encoder", self.encoder_loss, also_trains=encoders, in_bursts=True),
            Objective("critic", self.critic_loss),
            Objective("actor", self.actor_loss),
        )

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """The policy's action ``[S, E, a]``, explored with ``noise [S, E, a]``; with ``[S, E, 2 a]`` a discrete one."""
        features, exploration = self._online.features(observation), self._settings.exploration
        if noise is None:
            return self._realized(self._action(self._actor, features, None)[0])
        gumbel, drawn = noise.chunk(2, -1) if self._settings.discrete else (None, noise)
        action, _ = self._action(self._actor, features, gumbel)
        return self._realized(exploration.add(action, drawn, self._built, clips=not self._settings.discrete))

    def evaluate(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """The policy's action ``[S, E, a]``; a discrete one is drawn with ``noise [S, E, a]``, else the likeliest."""
        return self._realized(self._action(self._actor, self._online.features(observation), noise)[0])

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """Features of both observations; the next action is that of the target."""
        now, following = (self._online.features(each) for each in (batch.observation, batch.next_observation))
        pairs = (batch.action, now), (self._following_action(batch, noise), following)
        joint = Inputs(*(self._online.joint(features, action) for action, features in pairs))
        return {
            "state_encoder": Inputs(batch.observation, batch.next_observation),
            "state_action_encoder": Inputs(*(torch.cat(pair, -1) for pair in pairs)),
            "model": joint,
            "actor": Inputs(now, following),
            "critic": joint,
        }

    def encoder_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``sum_k w_z mean alive |z_k - f'(s_k)|^2 + w_r mean alive CE_k + w_d mean alive (d_k - done_k)^2``.

        ``(d_k, z_k, r_k) = M(g(z_{k-1}, a_k))`` with ``z_0 = f(s)``. Steps after an episode's end count 0.
        """
        action, observation, reward, terminated, alive = (batch.extra[name] for name in FUTURE)
        with torch.no_grad():
            target = self._target.features(observation.flatten(1, 2)).unflatten(1, alive.shape[1:])
            rewards = self._settings.bins.encoded(reward)
        latent = self._online.features(batch.observation, training=True)
        losses = torch.zeros(3, len(latent), device=latent.device, dtype=latent.dtype)
        for step in range(self._settings.horizon):
            predicted = self._model(self._online.joint(latent, action[:, :, step], training=True), training=True)[:, 0]
            done, latent, logits = predicted.split(
                [1, latent.shape[-1], predicted.shape[-1] - 1 - latent.shape[-1]], -1
            )
            counts = alive[:, :, step]
            errors = (latent - target[:, :, step]).square().mean(-1), _cross_entropy(logits, rewards[:, :, step])
            ends = (done[..., 0] - terminated[:, :, step]).square() * self._own["terminates"][:, None]
            losses = losses + torch.stack([(counts * each).mean(1) for each in (*errors, ends)])
        loss: Tensor = sum(w * each for w, each in zip(self._settings.weights, losses, strict=True))
        signals["encoder/loss"] = loss.detach()
        signals["encoder/latent_loss"], signals["encoder/reward_loss"] = losses[0].detach(), losses[1].detach()
        return loss

    def critic_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """Mean over samples and critics of ``L(Q_c - y)``, ``L(x) = x^2 / 2`` below 1 and ``|x| - 1 / 2`` above.

        ``y = (R + bootstrap r' min_c Q'_c) / r``, R the n-step return, r and r' the scales of rewards.
        """
        with torch.no_grad():
            target = self._targets(batch, noise)
            joint = self._online.joint(self._online.features(batch.observation), batch.action)
        predicted = self._returns.value(self._critic(joint, training=True))
        error = (predicted - target[:, None]).abs()
        each = torch.where(error < 1, 0.5 * error.square(), error - 0.5).mean(1)
        loss: Tensor = (batch.extra["weight"] * each).mean(1)
        signals["critic/loss"], signals["critic/value"] = loss.detach(), predicted.detach().mean((1, 2))
        signals["priority"], signals["target"] = error.detach().amax(1), target
        return loss

    def actor_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``-mean Q(g(f(s), pi(f(s)))) + w mean x^2`` over samples and critics, x what the policy squashes."""
        with torch.no_grad():
            features = self._online.features(batch.observation)
        action, raw = self._action(self._actor, features, noise.get("gumbel"), training=True)
        values = self._returns.value(self._critic(self._online.joint(features, action)))
        loss: Tensor = -values.mean((1, 2)) + self._settings.pre_tanh_weight * raw.square().mean((1, 2))
        signals["actor/loss"], signals["actor/action_size"] = loss.detach(), action.detach().abs().mean((1, 2))
        if self._settings.by_policy and "target" in signals:
            signals["priority"] = (values.detach() - signals["target"][:, None]).abs().amax(1)
        return loss

    def begin_burst(self, reward_size: Tensor, terminates: Tensor) -> None:
        """The scale of targets' values becomes the present one, and that the mean magnitude of rewards."""
        own = self._own
        own["target_reward_scale"].copy_(own["reward_scale"])
        own["reward_scale"].copy_(reward_size.clamp_min(1e-8))
        own["terminates"].copy_(torch.maximum(own["terminates"], terminates))

    def finish_burst_update(self, signals: dict[str, Tensor]) -> None:
        """Keep the losses, which the other updates report."""
        for name in ("loss", "latent_loss", "reward_loss"):
            self._own[_kept(name)].copy_(signals[f"encoder/{name}"])

    def finish_update(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> None:
        """Report what bursts have left."""
        signals["critic/reward_scale"] = self._own["reward_scale"]
        for name in ("loss", "latent_loss", "reward_loss"):
            signals[f"encoder/{name}"] = self._own[_kept(name)]

    def default_extras(self, batch: Batch) -> Mapping[str, Tensor]:
        """Every sample counts alike, and has a future of one step."""
        repeated = {
            "action": batch.action,
            "observation": batch.next_observation,
            "reward": batch.reward,
            "terminated": (batch.bootstrap == 0).float(),
        }
        steps = self._settings.horizon
        future = {f"future/{name}": value.unsqueeze(2).repeat_interleave(steps, 2) for name, value in repeated.items()}
        alive = torch.zeros_like(future["future/reward"])
        alive[:, :, 0] = 1
        return {"weight": torch.ones_like(batch.reward), **future, "future/alive": alive}

    def _targets(self, batch: Batch, noise: Mapping[str, Tensor]) -> Tensor:
        """``[S, B]``."""
        features = self._target.features(batch.next_observation)
        joint = self._target.joint(features, self._following_action(batch, noise))
        value = self._returns.value(self._target_critic(joint)).amin(1)
        scaled = batch.bootstrap * value * self._own["target_reward_scale"][:, None]
        return (batch.reward + scaled) / self._own["reward_scale"][:, None]

    def _following_action(self, batch: Batch, noise: Mapping[str, Tensor]) -> Tensor:
        features = self._target.features(batch.next_observation)
        action, _ = self._action(self._target_actor, features, noise.get("target_gumbel"))
        if "target" in noise:
            clips = not self._settings.discrete
            action = self._settings.target_noise.add(action, noise["target"], self._built, clips=clips)
        return self._realized(action)

    def _action(
        self, actor: Stacked, features: Tensor, gumbel: Tensor | None, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """The action ``[S, B, a]``, of discrete ones probabilities under the noise, and what was squashed to it."""
        raw: Tensor = actor(features, training)[:, 0]
        if not self._settings.discrete:
            return torch.tanh(raw), raw
        # A normal draw's distribution function is uniform, and minus the log of minus its log a Gumbel draw.
        perturbed = raw if gumbel is None else raw - torch.log(-torch.special.log_ndtr(gumbel))
        return (perturbed / self._settings.temperature).softmax(-1), raw

    def _realized(self, action: Tensor) -> Tensor:
        """The action itself, or the one-hot of its largest entry."""
        return one_hot(action.argmax(-1), self._settings.actions) if self._settings.discrete else action


def _kept(name: str) -> str:
    return "encoder_loss" if name == "loss" else name


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """``[S, B]``, of probabilities ``target [S, B, N]``."""
    return -(target * logits.log_softmax(-1)).sum(-1)
