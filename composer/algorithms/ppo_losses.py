"""Proximal policy optimisation: losses and acting rule over a stacked actor and critic.

Source: Schulman et al., arXiv:1707.06347, with the clipped objective; advantages and returns come with the batch.
Legend: S seeds, B batch, E environments of a seed, a action. Tests: tests/papers/test_ppo.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from composer.algorithms.losses.policies import Policy
from composer.algorithms.losses.returns import of_only_copy
from composer.algorithms.on_policy import OnPolicyProgram
from composer.algorithms.program import Batch, BuiltAgent, Inputs, Objective
from composer.spec.shape import Shape

ScheduleFunction = Callable[[Tensor], Tensor]
"""From updates done ``[S]`` to a number per seed ``[S]``."""
SMALLEST_VARIANCE = 1e-6
"""Lower bound of the variance of returns that errors are divided by."""


class PPOProgram(OnPolicyProgram):
    """Two objectives: the actor's clipped surrogate, and the critic's error to the returns of the rollout."""

    extras = ("advantage", "log_density", "return", "value")
    recorded = ("log_density",)

    def __init__(
        self,
        built: BuiltAgent,
        policy: Policy[Any],
        clip_ratio: ScheduleFunction,
        entropy_bonus: ScheduleFunction,
        value_clip: ScheduleFunction | None,
    ) -> None:
        """Schedules are functions of updates done; ``value_clip`` None leaves values unclipped."""
        assert built.updates is not None
        self._actor, self._critic = built.networks["actor"], built.networks["critic"]
        self._returns, self._updates, self._distribution = built.returns["critic"], built.updates, policy
        self._clip_ratio, self._entropy_bonus, self._value_clip = clip_ratio, entropy_bonus, value_clip
        self.noise: Mapping[str, Shape] = {}
        self.signals: tuple[str, ...] = (
            "actor/loss",
            "actor/entropy",
            "actor/kl",
            "actor/clipped",
            "actor/largest_ratio",
            "critic/loss",
            "critic/value",
            "critic/explained_variance",
        )
        self.objectives = (Objective("actor", self.actor_loss), Objective("critic", self.critic_loss))

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """A draw of the policy ``[S, E, a]``; of a Gaussian it may be outside of the box. Without noise the mode."""
        raw = self._policy(observation)
        return self._distribution.mode(raw) if noise is None else self._distribution.draw(raw, noise)

    @override
    def act_and_record(self, observation: Tensor, noise: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        raw = self._policy(observation)
        action = self._distribution.draw(raw, noise)
        return action, {"log_density": self._distribution.log_density(raw, action)}

    def to_env_action(self, action: Tensor) -> Tensor:
        """The nearest action of the box; choices stay as they are."""
        return self._distribution.to_env_action(action)

    def value(self, observation: Tensor) -> Tensor:
        """``[S, B]``, in evaluation mode."""
        value: Tensor = self._returns.value(of_only_copy(self._critic(observation)))
        return value

    def log_density(self, observation: Tensor, action: Tensor) -> Tensor:
        """The logarithm ``[S, B]`` of the present policy's density at drawn actions ``[S, B, a]``."""
        return self._distribution.log_density(self._policy(observation), action)

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """Both networks read observations."""
        seen = Inputs(batch.observation, batch.next_observation)
        return {"actor": seen, "critic": seen}

    @torch.no_grad()
    def default_extras(self, batch: Batch) -> Mapping[str, Tensor]:
        """One-step advantages under the present policy: ratios are 1 and nothing is clipped, as in a first update."""
        value = self.value(batch.observation)
        returns = batch.reward + batch.bootstrap * self.value(batch.next_observation)
        density = self.log_density(batch.observation, batch.action)
        return {"advantage": returns - value, "log_density": density, "return": returns, "value": value}

    def actor_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``-mean min(r A, clip(r, 1 - c, 1 + c) A) - bonus H``. Eq. 7 and 9, arXiv:1707.06347."""
        raw, advantage = self._policy(batch.observation, training=True), batch.extra["advantage"]
        log_ratio = self._distribution.log_density(raw, batch.action) - batch.extra["log_density"]
        ratio, clip = log_ratio.exp(), self._clip_ratio(self._updates)[:, None]
        surrogate = torch.minimum(ratio * advantage, torch.clamp(ratio, 1 - clip, 1 + clip) * advantage).mean(1)
        entropy = self._distribution.entropy(raw).mean(1)
        loss = -surrogate - self._entropy_bonus(self._updates) * entropy
        with torch.no_grad():
            signals["actor/loss"], signals["actor/entropy"] = loss.detach(), entropy.detach()
            # An estimate that is never negative, unbiased and of low variance: E[(r - 1) - log r] = KL(old, new).
            signals["actor/kl"] = (torch.expm1(log_ratio) - log_ratio).mean(1)
            signals["actor/clipped"] = ((ratio - 1).abs() > clip).float().mean(1)
            signals["actor/largest_ratio"] = log_ratio.abs().amax(1).exp()  # Of new to old or of old to new.
        return loss

    def critic_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``mean L(V, R)`` with the returns R and the head's loss L: for a scalar head ``(V - R)^2``, not halved.

        With ``value_clip`` c: ``mean max(L(V, R), L(V_old + clip(V - V_old, -c, c), R))``, as in the published code of
        OpenAI Baselines; the paper has no such term.
        """
        returns, target = self._returns, batch.extra["return"]
        raw = of_only_copy(self._critic(batch.observation, training=True))
        with torch.no_grad():
            goal = returns.transform(raw, target, torch.zeros_like(target))
        error = returns.loss(raw, goal)
        if self._value_clip is not None:
            old, clip = batch.extra["value"], self._value_clip(self._updates)[:, None]
            error = torch.maximum(error, returns.loss(old + torch.clamp(raw - old, -clip, clip), goal))
        loss: Tensor = error.mean(1)
        with torch.no_grad():
            signals["critic/loss"], signals["critic/value"] = loss.detach(), returns.value(raw).mean(1)
            variance = target.var(1, correction=0).clamp_min(SMALLEST_VARIANCE)
            residual = (target - batch.extra["value"]).var(1, correction=0)
            signals["critic/explained_variance"] = 1 - residual / variance
        return loss

    def _policy(self, observation: Tensor, training: bool = False) -> Any:
        return of_only_copy(self._actor(observation, training))
