"""Proximal policy optimisation: losses and acting rule over a stacked actor and critic.

Source: Schulman et al., arXiv:1707.06347, with the clipped objective; advantages and returns come with the batch.
Legend: S seeds, B batch, E environments of a seed, a action. Tests: tests/papers/test_ppo.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from typing_extensions import override

from composer.algorithms.losses.policies import Policy
from composer.algorithms.losses.returns import Returns, of_only_copy
from composer.algorithms.novelty_losses import CRITIC, EXTRAS, PREDICTOR, NoveltyLosses
from composer.algorithms.on_policy import OnPolicyProgram, memory_name
from composer.algorithms.program import Batch, BuiltAgent, Inputs, Objective
from composer.networks.sequences import Sequences
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from composer.networks.stacked import Stacked

ScheduleFunction = Callable[[Tensor], Tensor]
"""From updates done ``[S]`` to a number per seed ``[S]``."""
SMALLEST_VARIANCE = 1e-6
"""Lower bound of the variance of returns that errors are divided by."""


class PPOProgram(OnPolicyProgram):
    """The actor's clipped surrogate, and the critic's error to the returns of the rollout; then those of novelty."""

    extras: tuple[str, ...] = ("advantage", "log_density", "return", "value")
    recorded = ("log_density",)
    signals: tuple[str, ...] = (
        "actor/loss",
        "actor/entropy",
        "actor/kl",
        "actor/clipped",
        "actor/largest_ratio",
        "critic/loss",
        "critic/value",
        "critic/explained_variance",
    )

    def __init__(
        self,
        built: BuiltAgent,
        policy: Policy[Any],
        clip_ratio: ScheduleFunction,
        entropy_bonus: ScheduleFunction,
        value_clip: ScheduleFunction | None,
        memory: Mapping[str, int] = MappingProxyType({}),
        moments: int = 1,
        novelty: NoveltyLosses | None = None,
    ) -> None:
        """Schedules are functions of updates done; ``value_clip`` None leaves values unclipped.

        ``memory`` is empty where no network remembers anything; else a sequence has ``moments`` observations.
        """
        assert built.updates is not None
        self._actor, self._critic = built.networks["actor"], built.networks["critic"]
        self._roles = tuple(built.networks)
        self._returns, self._updates, self._distribution = built.returns["critic"], built.updates, policy
        self._clip_ratio, self._entropy_bonus, self._value_clip = clip_ratio, entropy_bonus, value_clip
        self.memory, self._moments = memory, moments
        if memory:
            self.acting_roles = ("actor",)
            self.extras = (*self.extras, "starts", *map(memory_name, memory))
        self.noise: Mapping[str, Shape] = {}
        self.objectives: tuple[Objective, ...] = (
            Objective("actor", self.actor_loss),
            Objective("critic", self.critic_loss),
        )
        self.novelty = novelty
        if novelty is not None:
            self._learn_novelty(built, novelty)

    def _learn_novelty(self, built: BuiltAgent, novelty: NoveltyLosses) -> None:
        network, returns = built.networks[CRITIC], built.returns[CRITIC]

        def critic_loss(batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
            return self._value_loss(CRITIC, network, returns, batch, signals, "intrinsic_")

        self.extras, self.signals = (*self.extras, *EXTRAS), (*self.signals, *novelty.signals)
        predictor = Objective(PREDICTOR, novelty.predictor_loss, novelty.settings.predictor_every)
        self.objectives = (*self.objectives, Objective(CRITIC, critic_loss), predictor)

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """A draw of the policy ``[S, E, a]``; of a Gaussian it may be outside of the box. Without noise the mode."""
        raw = self._policy(observation)
        return self._distribution.mode(raw) if noise is None else self._distribution.draw(raw, noise)

    @override
    def act_and_record(self, observation: Tensor, noise: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        raw = self._policy(observation)
        action = self._distribution.draw(raw, noise)
        return action, {"log_density": self._distribution.log_density(raw, action)}

    @override
    def act_from_memory(
        self, observation: Tensor, noise: Tensor | None, starts: Tensor, memory: Mapping[str, Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor], Mapping[str, Tensor]]:
        seen = Sequences(observation[:, :, None], starts[..., None], memory["actor"])
        output, after = self._actor(seen)
        raw, kept = moments_joined(output), {"actor": after[:, 0, :, -1]}
        if noise is None:
            return self._distribution.mode(raw), {}, kept
        action = self._distribution.draw(raw, noise)
        return action, {"log_density": self._distribution.log_density(raw, action)}, kept

    @override
    def values_in_order(
        self, observation: Tensor, starts: Tensor, memory: Mapping[str, Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        output, after = self._critic(Sequences(observation, starts, memory["critic"]))
        value: Tensor = self._returns.value(moments_joined(output))
        return value.view(starts.shape), {"critic": after[:, 0]}

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
        """All networks read observations."""
        seen = Inputs(batch.observation, batch.next_observation)
        return dict.fromkeys(self._roles, seen)

    @torch.no_grad()
    def default_extras(self, batch: Batch) -> Mapping[str, Tensor]:
        """One-step advantages under the present policy: ratios are 1 and nothing is clipped, as in a first update."""
        value = self.value(batch.observation)
        returns = batch.reward + batch.bootstrap * self.value(batch.next_observation)
        density = self.log_density(batch.observation, batch.action)
        found = {"advantage": returns - value, "log_density": density, "return": returns, "value": value}
        if self.novelty is not None:
            plain = self.novelty.plain_extras(batch)
            intrinsic = plain["intrinsic_return"] - plain["intrinsic_value"]
            found["advantage"] = found["advantage"] + self.novelty.settings.advantage_coefficient * intrinsic
            found |= plain
        if self.memory:  # Every observation begins an episode, so that what came before plays no part.
            rows = value.shape[1]
            shape = len(value), rows // self._moments if rows % self._moments == 0 else rows
            found["starts"] = torch.ones_like(value)
            found |= {memory_name(role): value.new_zeros(*shape, size) for role, size in self.memory.items()}
        return found

    def actor_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``-mean min(r A, clip(r, 1 - c, 1 + c) A) - bonus H``. Eq. 7 and 9, arXiv:1707.06347."""
        raw, advantage = self._read("actor", self._actor, batch), batch.extra["advantage"]
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
        return self._value_loss("critic", self._critic, self._returns, batch, signals)

    def _value_loss(
        self,
        role: str,
        network: Stacked,
        returns: Returns[Any],
        batch: Batch,
        signals: dict[str, Tensor],
        prefix: str = "",
    ) -> Tensor:
        target = batch.extra[f"{prefix}return"]
        raw = self._read(role, network, batch)
        with torch.no_grad():
            goal = returns.transform(raw, target, torch.zeros_like(target))
        error = returns.loss(raw, goal)
        if self._value_clip is not None:
            old, clip = batch.extra[f"{prefix}value"], self._value_clip(self._updates)[:, None]
            error = torch.maximum(error, returns.loss(old + torch.clamp(raw - old, -clip, clip), goal))
        loss: Tensor = error.mean(1)
        with torch.no_grad():
            signals[f"{role}/loss"], signals[f"{role}/value"] = loss.detach(), returns.value(raw).mean(1)
            variance = target.var(1, correction=0).clamp_min(SMALLEST_VARIANCE)
            residual = (target - batch.extra[f"{prefix}value"]).var(1, correction=0)
            signals[f"{role}/explained_variance"] = 1 - residual / variance
        return loss

    def _read(self, role: str, network: Stacked, batch: Batch) -> Any:
        """What a network gives for a batch in training mode, ``[S, B, ...]``; of whole sequences where it remembers."""
        if not self.memory:
            return of_only_copy(network(batch.observation, training=True))
        memory = batch.extra[memory_name(role)]
        shape = *memory.shape[:2], batch.reward.shape[1] // memory.shape[1]
        seen = batch.observation.view(*shape, *batch.observation.shape[2:])
        output, _ = network(Sequences(seen, batch.extra["starts"].view(shape) > 0, memory), training=True)
        return moments_joined(output)

    def _policy(self, observation: Tensor, training: bool = False) -> Any:
        return of_only_copy(self._actor(observation, training))


def moments_joined(output: Any) -> Any:
    """``[S, 1, N, T, ...]``, a tensor or a tuple of them, as ``[S, N T, ...]``."""
    return tuple(map(moments_joined, output)) if isinstance(output, tuple) else output[:, 0].flatten(1, 2)
