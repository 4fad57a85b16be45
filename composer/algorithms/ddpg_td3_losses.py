"""Deterministic policy gradients: losses and acting rule over stacked networks.

Source: Lillicrap et al., arXiv:1509.02971; Fujimoto et al., arXiv:1802.09477 and its code; the noise in both losses as
in SimBa's published code, arXiv:2410.09754.
Legend: S seeds, C critics, B batch, E environments, d observation, a action. Tests: tests/papers/test_deterministic.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from composer.algorithms.losses.cloning import CloningLoss
from composer.algorithms.losses.critics import critics_loss, joint_return, joint_value
from composer.algorithms.losses.features import Features
from composer.algorithms.losses.noise_repetition import RepeatedNoise, RepeatsNoise
from composer.algorithms.program import Batch, BuiltAgent, Inputs, Objective
from composer.networks.stacked import Stacked
from composer.spec.shape import Shape


@dataclass(frozen=True)
class GaussianNoise:
    """Gaussian noise on actions."""

    std: Callable[[Tensor], Tensor]
    """From a clock to the standard deviation, ``[S]`` each."""
    clip: Tensor | None
    """Bound of the noise, ``[S, 1, 1]``."""
    counts_interactions: bool = False
    """Whether the clock counts interactions, and not updates."""
    straight_through: bool = False
    """Whether gradients ignore the clipping to [-1, 1]."""

    def add(self, action: Tensor, draws: Tensor, built: BuiltAgent, clips: bool = True) -> Tensor:
        """``clip(action + clip(std * draws, -c, c), -1, 1)``, ``[S, N, a]``, at the present count of ``built``.

        Unless ``clips`` the sum is left as it is.
        """
        count = built.interactions if self.counts_interactions else built.updates
        assert count is not None, "noise follows a clock"
        noise = self.std(count)[:, None, None] * draws
        if self.clip is not None:
            noise = noise.clamp(-self.clip, self.clip)
        noisy = action + noise
        if not clips:
            return noisy
        clipped = noisy.clamp(-1, 1)
        return noisy - noisy.detach() + clipped.detach() if self.straight_through else clipped


@dataclass(frozen=True)
class Settings:
    """How critics are joined, where noise is added, and when the actor steps."""

    actions: int
    """a"""
    critics: str
    """The return of several critics in targets: ``minimum`` or ``mean``."""
    actor_critics: str
    """The value that the actor maximises: ``first``, ``minimum`` or ``mean``."""
    exploration: GaussianNoise
    noises: Mapping[str, GaussianNoise]
    """In the losses: under ``actor`` on its actions, under ``target`` on next actions."""
    has_target_actor: bool
    policy_delay: Tensor | None
    """The actor steps every ``policy_delay [S]`` updates; None: every update."""
    order: tuple[str, ...]
    """Roles in the order in which they step."""
    cloning: CloningLoss | None = None
    """What keeps the actor near the data; None where nothing does."""
    repeated: RepeatedNoise | None = None
    """What holds the noise of exploration; None where each decision has its own."""


class DeterministicProgram(RepeatsNoise):
    """Two objectives over an actor, C critics and their targets."""

    def __init__(self, built: BuiltAgent, features: Features, settings: Settings) -> None:
        """Over networks ``actor`` and ``critic`` and their averages, which read ``features``."""
        self._built, self._features, self._settings = built, features, settings
        self.hold_noise(settings.repeated)
        self._actor, self._critic = built.networks["actor"], built.networks["critic"]
        self._target_critic, self._returns = built.averages["target_critic"], built.returns["critic"]
        self._next_actor = built.averages["target_actor"] if settings.has_target_actor else self._actor
        shapes = {"actor": (settings.actions,), "target": features.draw_shape(settings.actions)}
        self.noise: Mapping[str, Shape] = {**{name: shapes[name] for name in settings.noises}, **features.noise}
        cloned = () if settings.cloning is None else ("actor/cloning",)
        self.signals: tuple[str, ...] = ("actor/loss", "actor/action_size", *cloned, "critic/loss", "critic/value")
        steps = {
            "actor": Objective("actor", self.actor_loss, settings.policy_delay),
            "critic": Objective("critic", self.critic_loss, also_trains=features.trained),
        }
        self.objectives: tuple[Objective, ...] = tuple(steps[role] for role in settings.order)

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """The policy's action ``[S, E, a]``, with ``noise [S, E, a]`` that of exploration added."""
        action = _actions(self._actor, self._features.acting(observation))
        return action if noise is None else self._settings.exploration.add(action, noise, self._built)

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """The critic reads observation and action; the next action is that of the target."""
        found, now, following = self._features.inputs(batch)
        action = self._with_noise("target", _actions(self._next_actor, following.actor), noise, self._features.first)
        critic = Inputs(*(torch.cat([a, b], -1) for a, b in ((now.critic, batch.action), (following.critic, action))))
        return {**found, "actor": Inputs(now.actor, following.actor), "critic": critic}

    def actor_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``-mean Q(s, pi(s))``, whose gradient is Eq. 6 of arXiv:1509.02971; and cloning of the data."""
        seen = self._features.of_actor(batch, noise, signals)
        action = self._with_noise("actor", _actions(self._actor, seen.actor, training=True), noise)
        raw = self._critic(torch.cat([seen.critic, action], -1))
        values, cloning = joint_value(self._returns.value(raw), self._settings.actor_critics), self._settings.cloning
        loss: Tensor = -values.mean(1)
        if cloning is not None:
            assert self._built.updates is not None, "the weight follows the clock of updates"
            loss = cloning.add(loss, values, (action, batch.action), self._built.updates, signals)
        signals["actor/loss"], signals["actor/action_size"] = loss.detach(), action.detach().abs().mean((1, 2))
        return loss

    def critic_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``sum_c mean L(Z_c, r + discount Z')`` with the head's loss L: arXiv:1802.09477, algorithm 1, not halved."""
        returns, features, rule = self._returns, self._features, self._settings.critics
        with torch.no_grad():
            following = features.of_target(batch, noise, self._settings.has_target_actor)
            action = self._with_noise("target", _actions(self._next_actor, following.actor), noise, features.draws)
            raw = self._target_critic(torch.cat([following.critic, action], -1))
            moved = features.repeated(batch)
            target = features.target(returns.transform(joint_return(returns, raw, rule), *moved))
        now = features.with_action(features.of_critic(batch, noise, signals), batch.action)
        return critics_loss(returns, self._critic(now, training=True), target, signals, features.critic_views)

    def _with_noise(
        self,
        name: str,
        action: Tensor,
        noise: Mapping[str, Tensor],
        shaped: Callable[[Tensor], Tensor] = lambda draws: draws,
    ) -> Tensor:
        declared = self._settings.noises.get(name)
        return action if declared is None else declared.add(action, shaped(noise[name]), self._built)


def _actions(actor: Stacked, seen: Tensor, training: bool = False) -> Tensor:
    """Actions ``[S, N, a]`` of the only copy of an actor."""
    action: Tensor = actor(seen, training)[:, 0]
    return action
