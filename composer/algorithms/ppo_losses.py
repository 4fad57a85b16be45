"""Proximal policy optimisation: losses and acting rule over a stacked actor and critic.

Source: Schulman et al., arXiv:1707.06347, with the clipped objective; advantages and returns come with the batch.
Legend: S seeds, B batch, E environments of a seed, a action. Tests: tests/papers/test_ppo.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from composer.algorithms.losses.policies import Policy
from composer.algorithms.on_policy import OnPolicyProgram
from composer.algorithms.program import Batch, Inputs, Objective, Roles
from composer.spec.shape import Shape

Course = Callable[[Tensor], Tensor]
"""From updates done ``[S]`` to a number a seed ``[S]``."""
SMALLEST_VARIANCE = 1e-6
"""What a variance of returns counts as at least, where errors are divided by it."""


class PPOProgram(OnPolicyProgram):
    """Two objectives: the actor's clipped surrogate, and the critic's error to the returns of the rollout."""

    def __init__(
        self, roles: Roles, policy: Policy[Any], clip_ratio: Course, entropy_bonus: Course, value_clip: Course | None
    ) -> None:
        """The numbers follow the count of updates; without ``value_clip`` values move freely."""
        assert roles.updates is not None
        self._actor, self._critic = roles.networks["actor"], roles.networks["critic"]
        self._returns, self._updates, self._of = roles.returns["critic"], roles.updates, policy
        self._clip_ratio, self._entropy_bonus, self._value_clip = clip_ratio, entropy_bonus, value_clip
        self.noise: Mapping[str, Shape] = {}
        self.signals: tuple[str, ...] = (
            "actor/loss",
            "actor/entropy",
            "actor/kl",
            "actor/clipped",
            "critic/loss",
            "critic/value",
            "critic/explained_variance",
        )
        self.objectives = (Objective("actor", self.actor_loss), Objective("critic", self.critic_loss))

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """A draw ``[S, E, a]``, of numbers wherever it lies; without noise the likeliest action."""
        raw = self._policy(observation)
        return self._of.mode(raw) if noise is None else self._of.draw(raw, noise)

    def to_env_action(self, action: Tensor) -> Tensor:
        """The nearest action of the box; a choice is one already."""
        return self._of.to_env_action(action)

    def value(self, observation: Tensor) -> Tensor:
        """``[S, B]``, in evaluation mode."""
        value: Tensor = self._returns.value(_single(self._critic(observation)))
        return value

    def log_density(self, observation: Tensor, action: Tensor) -> Tensor:
        """``[S, B]``, in evaluation mode."""
        return self._of.log_density(self._policy(observation), action)

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """Observations for both."""
        seen = Inputs(batch.observation, batch.next_observation)
        return {"actor": seen, "critic": seen}

    @torch.no_grad()
    def default_extras(self, batch: Batch) -> Mapping[str, Tensor]:
        """As in the first update, with one-step advantages: the ratio is 1 and nothing is clipped."""
        value = self.value(batch.observation)
        returns = batch.reward + batch.bootstrap * self.value(batch.next_observation)
        density = self.log_density(batch.observation, batch.action)
        return {"advantage": returns - value, "log_density": density, "return": returns, "value": value}

    def actor_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``-mean min(r A, clip(r, 1 - c, 1 + c) A) - bonus H``. Eq. 7 and 9, arXiv:1707.06347."""
        raw, advantage = self._policy(batch.observation, training=True), batch.extra["advantage"]
        log_ratio = self._of.log_density(raw, batch.action) - batch.extra["log_density"]
        ratio, clip = log_ratio.exp(), self._clip_ratio(self._updates)[:, None]
        surrogate = torch.minimum(ratio * advantage, torch.clamp(ratio, 1 - clip, 1 + clip) * advantage).mean(1)
        entropy = self._of.entropy(raw).mean(1)
        loss = -surrogate - self._entropy_bonus(self._updates) * entropy
        with torch.no_grad():
            signals["actor/loss"], signals["actor/entropy"] = loss.detach(), entropy.detach()
            # An estimate that is never negative, unbiased and of low variance: E[(r - 1) - log r] = KL(old, new).
            signals["actor/kl"] = (torch.expm1(log_ratio) - log_ratio).mean(1)
            signals["actor/clipped"] = ((ratio - 1).abs() > clip).float().mean(1)
        return loss

    def critic_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """The head's loss of the returns, averaged over the batch: of a scalar head the squared error, not halved.

        With ``value_clip`` c the larger one of that and of the error of ``V_old + clip(V - V_old, -c, c)``, as in the
        published code of OpenAI Baselines; the paper has no such term.
        """
        returns, target = self._returns, batch.extra["return"]
        raw = _single(self._critic(batch.observation, training=True))
        with torch.no_grad():
            wanted = returns.transform(raw, target, torch.zeros_like(target))
        error = returns.loss(raw, wanted)
        if self._value_clip is not None:
            before, reach = batch.extra["value"], self._value_clip(self._updates)[:, None]
            error = torch.maximum(error, returns.loss(before + torch.clamp(raw - before, -reach, reach), wanted))
        loss: Tensor = error.mean(1)
        with torch.no_grad():
            signals["critic/loss"], signals["critic/value"] = loss.detach(), returns.value(raw).mean(1)
            spread = target.var(1, correction=0).clamp_min(SMALLEST_VARIANCE)
            missed = (target - batch.extra["value"]).var(1, correction=0)
            signals["critic/explained_variance"] = 1 - missed / spread
        return loss

    def _policy(self, observation: Tensor, training: bool = False) -> Any:
        return _single(self._actor(observation, training))


def _single(raw: Any) -> Any:
    """The output of the only copy."""
    return tuple(item[:, 0] for item in raw) if isinstance(raw, tuple) else raw[:, 0]
