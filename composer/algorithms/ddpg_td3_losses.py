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

from composer.algorithms.losses.critics import critics_loss, joint_return, joint_value
from composer.algorithms.program import Batch, BuiltAgent, Inputs, Objective, Program
from composer.networks.stacked import Stacked
from composer.spec.shape import Shape


@dataclass(frozen=True)
class GaussianNoise:
    """Gaussian noise on actions."""

    std: Callable[[Tensor], Tensor]
    """From updates done to the standard deviation, ``[S]`` each."""
    clip: Tensor | None
    """Bound of the noise, ``[S, 1, 1]``."""

    def add(self, action: Tensor, draws: Tensor, updates: Tensor) -> Tensor:
        """``clip(action + clip(std * draws, -c, c), -1, 1)``, ``[S, N, a]``; ``updates [S]`` are those done."""
        noise = self.std(updates)[:, None, None] * draws
        if self.clip is not None:
            noise = noise.clamp(-self.clip, self.clip)
        return (action + noise).clamp(-1, 1)


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


class DeterministicProgram(Program):
    """Two objectives over an actor, C critics and their targets."""

    def __init__(self, built: BuiltAgent, settings: Settings) -> None:
        """Over networks ``actor`` and ``critic`` and their averages."""
        assert built.updates is not None, "noise follows the clock of updates"
        self._updates, self._settings = built.updates, settings
        self._actor, self._critic = built.networks["actor"], built.networks["critic"]
        self._target_critic, self._returns = built.averages["target_critic"], built.returns["critic"]
        self._next_actor = built.averages["target_actor"] if settings.has_target_actor else self._actor
        self.noise: Mapping[str, Shape] = {name: (settings.actions,) for name in settings.noises}
        self.signals: tuple[str, ...] = ("actor/loss", "actor/action_size", "critic/loss", "critic/value")
        steps = {
            "actor": Objective("actor", self.actor_loss, settings.policy_delay),
            "critic": Objective("critic", self.critic_loss),
        }
        self.objectives: tuple[Objective, ...] = tuple(steps[role] for role in settings.order)

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """The policy's action ``[S, E, a]``, with ``noise [S, E, a]`` that of exploration added."""
        action = _actions(self._actor, observation)
        return action if noise is None else self._settings.exploration.add(action, noise, self._updates)

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """The critic reads observation and action; the next action is that of the target."""
        now = torch.cat([batch.observation, batch.action], -1)
        following = torch.cat([batch.next_observation, self._next_action(batch, noise)], -1)
        return {"actor": Inputs(batch.observation, batch.next_observation), "critic": Inputs(now, following)}

    def actor_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``-mean Q(s, pi(s))``, whose gradient is Eq. 6 of arXiv:1509.02971."""
        action = self._with_noise("actor", _actions(self._actor, batch.observation, training=True), noise)
        values = self._returns.value(self._critic(torch.cat([batch.observation, action], -1)))
        loss: Tensor = -joint_value(values, self._settings.actor_critics).mean(1)
        signals["actor/loss"], signals["actor/action_size"] = loss.detach(), action.detach().abs().mean((1, 2))
        return loss

    def critic_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``sum_c mean L(Z_c, r + discount Z')`` with the head's loss L: arXiv:1802.09477, algorithm 1, not halved."""
        returns = self._returns
        with torch.no_grad():
            action = self._next_action(batch, noise)
            raw = self._target_critic(torch.cat([batch.next_observation, action], -1))
            target = returns.transform(
                joint_return(returns, raw, self._settings.critics), batch.reward, batch.bootstrap
            )
        predicted = self._critic(torch.cat([batch.observation, batch.action], -1), training=True)
        return critics_loss(returns, predicted, target, signals)

    def _next_action(self, batch: Batch, noise: Mapping[str, Tensor]) -> Tensor:
        return self._with_noise("target", _actions(self._next_actor, batch.next_observation), noise)

    def _with_noise(self, name: str, action: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        declared = self._settings.noises.get(name)
        return action if declared is None else declared.add(action, noise[name], self._updates)


def _actions(actor: Stacked, observation: Tensor, training: bool = False) -> Tensor:
    """Actions ``[S, N, a]`` of the only copy of an actor."""
    action: Tensor = actor(observation, training)[:, 0]
    return action
