"""TD-MPC2: losses and acting rule over stacked networks.

Source: Hansen et al., arXiv:2310.16828, and its released code.
Legend: S seeds, C critics, B batch, H steps of the model, E environments, d observation, z latent, a action.
Tests: tests/papers/test_tdmpc2.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from composer.algorithms.losses.returns import RawOutput, lowest
from composer.algorithms.losses.tanh_gaussian import HALF_LOG_TWO_PI
from composer.algorithms.mppi_search import Search, pair_of
from composer.algorithms.program import Batch, BuiltAgent, Inputs, Objective, Program
from composer.algorithms.tdmpc2_model import LatentModel
from composer.networks.stacked import per_seed
from composer.spec.shape import Shape

_FUTURE = ("observation", "action", "reward", "terminated", "alive")
SQUASH_EPSILON = 1e-6
"""Added inside of the logarithm of the tanh's slope, as in the released code."""


@dataclass(frozen=True)
class Settings:
    """Numbers as tensors ``[S]``."""

    actions: int
    """a"""
    horizon: int
    """H"""
    discount: Tensor
    decay: Tensor
    """Weight of each step of the model relative to the one before it."""
    consistency: Tensor
    reward: Tensor
    value: Tensor
    entropy: Tensor
    squashes_entropy: bool
    scale_rate: Tensor
    """Share of a new batch in the running scale of values."""
    max_norm: Tensor | None
    """Bound of the norm of the model's gradient."""


class TDMPC2Program(Program):
    """Two objectives: the model with its critics over H steps, and the policy on the latents of the same steps."""

    signals: tuple[str, ...] = (
        "encoder/loss",
        "reward/loss",
        "critic/loss",
        "critic/value",
        "actor/loss",
        "actor/entropy",
        "actor/scale",
    )
    extras = tuple(f"future/{name}" for name in _FUTURE)

    def __init__(self, built: BuiltAgent, settings: Settings, search: Search | None, model: LatentModel) -> None:
        """Without a ``search`` the policy acts."""
        self._settings, self._search, self._model = settings, search, model
        self._target, self._scale = built.averages["target_critic"], built.tensors["scale"]
        self._critics, actions, steps = model.critic.copies, settings.actions, settings.horizon
        pairs = {"pair/target": (self._critics,), "pair/actor": (self._critics,)}  # Those of the first sample count.
        self.noise: Mapping[str, Shape] = {"target": (steps, actions), "actor": (steps + 1, actions), **pairs}
        others, bound = ("dynamics", "reward", "critic"), settings.max_norm
        self.objectives = (
            Objective("encoder", self.model_loss, also_trains=others, max_norm=bound),
            Objective("actor", self.actor_loss),
        )
        if search is not None:
            self.exploration_noise = self.evaluation_noise = (search.draws,)

    @property
    def acting_memory(self) -> Mapping[str, Shape]:
        """The mean sequence of the last plan."""
        return {} if self._search is None else {"plan": (self._settings.horizon, self._settings.actions)}

    @property
    def export_problem(self) -> str:
        """A plan begins at the one before it, and is drawn."""
        if self._search is None:
            return ""
        told = "evaluations plan with the model, and exported files answer single observations"
        return f"{told}; of an agent without algorithm.planning the policy is exported"

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """The policy's action ``[S, E, a]``, without noise its mode; with a planner, a plan from nothing before it."""
        latent = self._model.encode(observation)
        if noise is None:
            return self._model.gaussian(latent)[0].tanh()
        if self._search is None:
            return self._model.policy(latent, noise)
        none = latent.new_zeros(*latent.shape[:2], self._settings.horizon, self._settings.actions)
        return self._search.plan(latent, none, noise, explores=True)[0]

    def act_from_memory(
        self, observation: Tensor, noise: Tensor | None, starts: Tensor, memory: Mapping[str, Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor], Mapping[str, Tensor]]:
        """A plan that begins at the one before, with noise on its first action."""
        action, after = self._planned(observation, noise, memory, explores=True)
        return action, {}, after

    def evaluate_from_memory(
        self, observation: Tensor, noise: Tensor | None, starts: Tensor, memory: Mapping[str, Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The same without noise on the action: an elite is drawn all the same, as in the released code."""
        return self._planned(observation, noise, memory, explores=False)

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """Latents of present and next observations, each with the action of the data and of the policy."""
        latents = [self._model.encode(each) for each in (batch.observation, batch.next_observation)]
        actions = batch.action, self._model.policy(latents[1], noise["target"][:, :, 0])
        pairs = Inputs(*(torch.cat(pair, -1) for pair in zip(latents, actions, strict=True)))
        seen = Inputs(batch.observation, batch.next_observation)
        return {"encoder": seen, "actor": Inputs(*latents), **dict.fromkeys(("dynamics", "reward", "critic"), pairs)}

    def model_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``sum_t decay^t (consistency |z_t+1 - sg f(o_t+1)|^2 + reward CE + value CE)``, means over H and critics.

        Latents are unrolled from the first observation, ``z_t+1 = d(z_t, a_t)``, with gradients through all steps.
        Steps after the end of an episode count nothing. Eq. 3 of the paper.
        """
        settings, model, steps = self._settings, self._model, self._settings.horizon
        observation, action, reward, terminated, alive = (batch.extra[name] for name in self.extras)
        with torch.no_grad():
            following = model.encode(observation.flatten(1, 2))
            target = self._targets(following, reward, terminated, noise)
        latents = [model.encode(batch.observation, training=True)]
        for step in range(steps):
            latents.append(model.next(latents[-1], action[:, :, step], training=True))
        error = (torch.stack(latents[1:], 2) - following.unflatten(1, (-1, steps))).square().mean(-1)
        begun, acted = torch.stack(latents[:-1], 2).flatten(1, 2), action.flatten(1, 2)
        raw, values = model.raw_reward(begun, acted, True), model.raw_values(model.critic, begun, acted, True)
        rewards = model.rewards.transform(_detached(raw), reward.flatten(1), torch.zeros_like(reward.flatten(1)))
        weight = alive * self._weights(steps)
        each = {
            "encoder/loss": weight * error,
            "reward/loss": weight * model.rewards.loss(raw, rewards).unflatten(1, (-1, steps)),
            "critic/loss": weight[:, None] * model.returns.loss(values, target[:, None]).unflatten(2, (-1, steps)),
        }
        means = {name: value.flatten(1).mean(1) for name, value in each.items()}
        signals |= {name: value.detach() for name, value in means.items()}
        signals["critic/value"] = model.returns.value(_detached(values)).mean((1, 2))
        signals["latents"], signals["alive"] = torch.stack(latents, 2).detach(), alive
        consistency, of_reward, of_value = means.values()
        loss: Tensor = settings.consistency * consistency + settings.reward * of_reward + settings.value * of_value
        return loss

    def actor_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``-mean_t decay^t (entropy h + Q / S)`` over the H + 1 latents of the model's loss; its critics are fixed.

        Q is the mean of two critics, in training mode as in the released code; S a running range of Q; h is
        ``scaled_entropy``. The model has made its step, the latents are those before it.
        """
        settings, model, latents = self._settings, self._model, signals["latents"]
        states, flat = settings.horizon + 1, latents.flatten(1, 2)
        mean, log_std = model.gaussian(flat, training=True)
        drawn = noise["actor"].flatten(1, 2)
        action = (mean + log_std.exp() * drawn).tanh()
        values = model.returns.value(model.raw_values(model.critic, flat, action, training=True))
        pair = pair_of(noise["pair/actor"][:, 0])[..., None]
        value = values.take_along_dim(pair, 1).mean(1).unflatten(1, (-1, states))
        scale = self._scale.lerp(value_range(value[:, :, 0].detach()), settings.scale_rate)
        entropy = scaled_entropy(log_std, drawn, action if settings.squashes_entropy else None)
        alive = torch.cat([torch.ones_like(signals["alive"][:, :, :1]), signals["alive"]], 2)
        each = per_seed(settings.entropy, value) * entropy.unflatten(1, (-1, states)) + value / per_seed(scale, value)
        loss: Tensor = -(alive * self._weights(states) * each).mean((1, 2))
        signals["actor/loss"], signals["actor/scale"] = loss.detach(), scale
        signals["actor/entropy"] = entropy.detach().mean(1)
        return loss

    def finish_update(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> None:
        """Keep the scale of values."""
        self._scale.copy_(signals["actor/scale"])

    def default_extras(self, batch: Batch) -> Mapping[str, Tensor]:
        """A future of one step: the transition repeated, alive in the first step only."""
        steps = self._settings.horizon
        ended = (batch.bootstrap == 0).to(batch.reward.dtype)
        alive = torch.zeros_like(batch.reward)[..., None].repeat(1, 1, steps)
        alive[:, :, 0] = 1
        repeated = batch.next_observation, batch.action, batch.reward, ended
        found = [each.unsqueeze(2).repeat_interleave(steps, 2) for each in repeated]
        return dict(zip(self.extras, [*found, alive], strict=True))

    def _targets(self, latent: Tensor, reward: Tensor, terminated: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        """Targets of ``r + discount (1 - terminated) min Q'`` of two target critics, for rows ``[S, B H]``."""
        model = self._model
        action = model.policy(latent, noise["target"].flatten(1, 2))
        pair = pair_of(noise["pair/target"][:, 0])
        raw = _taken(model.raw_values(self._target, latent, action), pair)
        least = lowest(raw, model.returns.value(raw), 1)
        going = per_seed(self._settings.discount, terminated) * (1 - terminated)
        target: Tensor = model.returns.transform(least, reward.flatten(1), going.flatten(1))
        return target

    def _planned(
        self, observation: Tensor, noise: Tensor | None, memory: Mapping[str, Tensor], explores: bool
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        assert self._search is not None and noise is not None, "only a planner remembers, and a plan is drawn"
        action, mean = self._search.plan(self._model.encode(observation), memory["plan"], noise, explores)
        return action, {"plan": mean}

    def _weights(self, steps: int) -> Tensor:
        """``decay^t``, ``[S, 1, steps]``."""
        decay = self._settings.decay[:, None, None]
        return decay ** torch.arange(steps, device=decay.device, dtype=decay.dtype)


def value_range(values: Tensor) -> Tensor:
    """The distance of the 5th and the 95th percentile of ``values [S, B]``, interpolated, at least 1: ``[S]``."""
    low, high = (torch.quantile(values, share, dim=1) for share in (0.05, 0.95))
    distance: Tensor = (high - low).clamp_min(1.0)
    return distance


def scaled_entropy(log_std: Tensor, noise: Tensor, action: Tensor | None) -> Tensor:
    """``-a sum log N`` of the Gaussian before the tanh, ``[...]``, for ``log_std`` and ``noise [..., a]``.

    As the newest released code computes it. With the ``action [..., a]``, ``sum log(1 - action^2)`` is added, as in the
    first release: the entropy of the squashed Gaussian but for the factor a.
    """
    gaussian = -0.5 * noise.square() - log_std - HALF_LOG_TWO_PI
    entropy = -log_std.shape[-1] * gaussian.sum(-1)
    if action is None:
        return entropy
    return entropy + torch.log((1 - action.square()).relu() + SQUASH_EPSILON).sum(-1)


def _taken(raw: RawOutput, pair: Tensor) -> RawOutput:
    """Two critics ``[S, 2, B, ...]`` of ``[S, C, B, ...]``, by seed."""
    if isinstance(raw, tuple):
        first, second = raw
        return _two(first, pair), _two(second, pair)
    return _two(raw, pair)


def _two(values: Tensor, pair: Tensor) -> Tensor:
    return values.take_along_dim(pair.view(*pair.shape, *[1] * (values.ndim - 2)), 1)


def _detached(raw: RawOutput) -> RawOutput:
    return (raw[0].detach(), raw[1].detach()) if isinstance(raw, tuple) else raw.detach()
