"""Deterministic policy gradients: losses and acting rule over stacked networks.

Source: Lillicrap et al., arXiv:1509.02971; Fujimoto et al., arXiv:1802.09477 and its code; the noise in both losses as
in SimBa's published code, arXiv:2410.09754.
Legend: S seeds, C critics, B batch, E environments, d observation, a action. Tests: tests/papers/test_deterministic.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from composer.algorithms.losses.returns import lowest
from composer.algorithms.program import Batch, Inputs, Objective, Program, Roles
from composer.optim.hyperparameters import Hyperparameters
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from composer.algorithms.ddpg_td3 import ActionNoise, DeterministicPolicyGradient
    from composer.networks.stacked import Stacked


class Jitter:
    """Noise on actions: unit-normal draws times a deviation on the clock of updates, clipped, the sum clipped too."""

    def __init__(self, declared: ActionNoise, updates: Tensor, hyperparameters: Hyperparameters) -> None:
        """``updates [S]`` is held, not copied."""
        self._std, self._updates = declared.std.build(hyperparameters), updates
        self._clip = None if declared.clip is None else hyperparameters.number(declared.clip, 1, 1)

    def __call__(self, action: Tensor, draws: Tensor) -> Tensor:
        """``clip(action + clip(std * draws, -c, c), -1, 1)``, ``[S, N, a]``."""
        noise = self._std(self._updates)[:, None, None] * draws
        if self._clip is not None:
            noise = noise.clamp(-self._clip, self._clip)
        return (action + noise).clamp(-1, 1)


class DeterministicProgram(Program):
    """Two objectives over an actor, C critics and their targets."""

    def __init__(
        self, roles: Roles, declared: DeterministicPolicyGradient, actions: int, hyperparameters: Hyperparameters
    ) -> None:
        """``actions`` is a."""
        assert roles.updates is not None, "noise follows the clock of updates"
        self._actor, self._critic = roles.networks["actor"], roles.networks["critic"]
        self._target_critic, self._returns = roles.averages["target_critic"], roles.returns["critic"]
        self._following_actor = roles.averages["target_actor"] if declared.target_actor else self._actor
        self._critics, self._climbed = declared.critics, declared.actor_critics
        self._exploration = Jitter(declared.exploration, roles.updates, hyperparameters)
        noises = {"actor": declared.actor_noise, "target": declared.target_noise}
        self._jitters = {
            name: Jitter(noise, roles.updates, hyperparameters) for name, noise in noises.items() if not noise.is_silent
        }
        self.noise: Mapping[str, Shape] = {name: (actions,) for name in self._jitters}
        self.signals: tuple[str, ...] = ("actor/loss", "actor/action_size", "critic/loss", "critic/value")
        every = hyperparameters.number(float(declared.policy_delay), dtype=torch.float64)
        steps = {
            "actor": Objective("actor", self.actor_loss, every if declared.policy_delay > 1 else None),
            "critic": Objective("critic", self.critic_loss),
        }
        self.objectives: tuple[Objective, ...] = tuple(steps[role] for role in declared.trained_roles())

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """The policy's action, and with ``noise [S, E, a]`` that of exploration around it."""
        action = _actions(self._actor, observation)
        return action if noise is None else self._exploration(action, noise)

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """Observations for the actor; with actions, the next ones as in the target, for the critic."""
        now = torch.cat([batch.observation, batch.action], -1)
        following = torch.cat([batch.next_observation, self._next_action(batch, noise)], -1)
        return {"actor": Inputs(batch.observation, batch.next_observation), "critic": Inputs(now, following)}

    def actor_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """Mean of ``-Q(s, pi(s))``, of which Eq. 6 of arXiv:1509.02971 is the gradient."""
        action = self._jittered("actor", _actions(self._actor, batch.observation, training=True), noise)
        values = self._returns.value(self._critic(torch.cat([batch.observation, action], -1)))
        if self._climbed == "first":
            value = values[:, 0]
        else:
            value = values.amin(1) if self._climbed == "minimum" else values.mean(1)
        loss: Tensor = -value.mean(1)
        signals["actor/loss"], signals["actor/action_size"] = loss.detach(), action.detach().abs().mean((1, 2))
        return loss

    def critic_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """The head's loss of the Bellman target, averaged over the batch, *summed* over critics.

        With a scalar head the squared errors of arXiv:1802.09477, algorithm 1, unhalved.
        """
        returns = self._returns
        with torch.no_grad():
            action = self._next_action(batch, noise)
            following = self._joined(self._target_critic(torch.cat([batch.next_observation, action], -1)))
            target = returns.transform(following, batch.reward, batch.bootstrap)
        predicted = self._critic(torch.cat([batch.observation, batch.action], -1), training=True)
        loss: Tensor = returns.loss(predicted, target[:, None]).mean(2).sum(1)
        with torch.no_grad():
            signals["critic/loss"], signals["critic/value"] = loss.detach(), returns.value(predicted).mean((1, 2))
        return loss

    def _next_action(self, batch: Batch, noise: Mapping[str, Tensor]) -> Tensor:
        return self._jittered("target", _actions(self._following_actor, batch.next_observation), noise)

    def _jittered(self, name: str, action: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        return self._jitters[name](action, noise[name]) if name in self._jitters else action

    def _joined(self, raw: Any) -> Any:
        """One distribution ``[S, B, ...]`` that stands for those of the critics ``[S, C, B, ...]``."""
        if self._critics == "mean":
            return self._returns.average(raw, 1)
        return lowest(raw, self._returns.value(raw), 1)


def _actions(actor: Stacked, observation: Tensor, training: bool = False) -> Tensor:
    """Of the one actor of each seed, ``[S, N, a]``."""
    action: Tensor = actor(observation, training)[:, 0]
    return action
