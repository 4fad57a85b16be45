"""Deterministic policy gradients: losses and acting rule over stacked networks.

Source: Lillicrap et al., arXiv:1509.02971; Fujimoto et al., arXiv:1802.09477 and its code; the noise in both losses as
in SimBa's published code, arXiv:2410.09754.
Legend: S seeds, C critics, B batch, E environments, d observation, a action. Tests: tests/papers/test_deterministic.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.algorithms.losses.critics import critics_loss, joint_return, joint_value
from composer.algorithms.program import Batch, BuiltAgent, Inputs, Objective, Program
from composer.optim.hyperparameters import Hyperparameters
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from composer.algorithms.ddpg_td3 import ActionNoise, DeterministicPolicyGradient
    from composer.networks.stacked import Stacked


class GaussianNoise:
    """Gaussian noise on actions, with a standard deviation that may follow a schedule over updates."""

    def __init__(self, declared: ActionNoise, updates: Tensor, hyperparameters: Hyperparameters) -> None:
        """``updates [S]`` is read at every call."""
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
        self, built: BuiltAgent, declared: DeterministicPolicyGradient, actions: int, hyperparameters: Hyperparameters
    ) -> None:
        """``actions`` is a; ``declared`` says which critics count and how noise is made."""
        assert built.updates is not None, "noise follows the clock of updates"
        self._actor, self._critic = built.networks["actor"], built.networks["critic"]
        self._target_critic, self._returns = built.averages["target_critic"], built.returns["critic"]
        self._next_actor = built.averages["target_actor"] if declared.target_actor else self._actor
        self._critics, self._actor_critics = declared.critics, declared.actor_critics
        self._exploration = GaussianNoise(declared.exploration, built.updates, hyperparameters)
        noises = {"actor": declared.actor_noise, "target": declared.target_noise}
        self._noises = {
            name: GaussianNoise(noise, built.updates, hyperparameters)
            for name, noise in noises.items()
            if not noise.is_silent
        }
        self.noise: Mapping[str, Shape] = {name: (actions,) for name in self._noises}
        self.signals: tuple[str, ...] = ("actor/loss", "actor/action_size", "critic/loss", "critic/value")
        every = hyperparameters.number(float(declared.policy_delay), dtype=torch.float64)
        steps = {
            "actor": Objective("actor", self.actor_loss, every if declared.policy_delay > 1 else None),
            "critic": Objective("critic", self.critic_loss),
        }
        self.objectives: tuple[Objective, ...] = tuple(steps[role] for role in declared.trained_roles())

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """The policy's action ``[S, E, a]``, with ``noise [S, E, a]`` that of exploration added."""
        action = _actions(self._actor, observation)
        return action if noise is None else self._exploration(action, noise)

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """The critic reads observation and action; the next action is that of the target."""
        now = torch.cat([batch.observation, batch.action], -1)
        following = torch.cat([batch.next_observation, self._next_action(batch, noise)], -1)
        return {"actor": Inputs(batch.observation, batch.next_observation), "critic": Inputs(now, following)}

    def actor_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``-mean Q(s, pi(s))``, whose gradient is Eq. 6 of arXiv:1509.02971."""
        action = self._with_noise("actor", _actions(self._actor, batch.observation, training=True), noise)
        values = self._returns.value(self._critic(torch.cat([batch.observation, action], -1)))
        loss: Tensor = -joint_value(values, self._actor_critics).mean(1)
        signals["actor/loss"], signals["actor/action_size"] = loss.detach(), action.detach().abs().mean((1, 2))
        return loss

    def critic_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``sum_c mean L(Z_c, r + discount Z')`` with the head's loss L: arXiv:1802.09477, algorithm 1, not halved."""
        returns = self._returns
        with torch.no_grad():
            action = self._next_action(batch, noise)
            raw = self._target_critic(torch.cat([batch.next_observation, action], -1))
            target = returns.transform(joint_return(returns, raw, self._critics), batch.reward, batch.bootstrap)
        predicted = self._critic(torch.cat([batch.observation, batch.action], -1), training=True)
        return critics_loss(returns, predicted, target, signals)

    def _next_action(self, batch: Batch, noise: Mapping[str, Tensor]) -> Tensor:
        return self._with_noise("target", _actions(self._next_actor, batch.next_observation), noise)

    def _with_noise(self, name: str, action: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        return self._noises[name](action, noise[name]) if name in self._noises else action


def _actions(actor: Stacked, observation: Tensor, training: bool = False) -> Tensor:
    """Actions ``[S, N, a]`` of the only copy of an actor."""
    action: Tensor = actor(observation, training)[:, 0]
    return action
