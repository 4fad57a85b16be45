"""DreamerV3: one loss over a world model, an actor and a critic, and the acting rule.

Source: Hafner et al., arXiv:2301.04104, and its released code, github.com/danijar/dreamerv3 at e3f0224.
Legend: S seeds, B sequences, T moments learned from (a sequence has one more before them), H imagined steps, N = B T,
E environments, D entries of the recurrent state, V latent variables of K classes, a action.
Tests: tests/papers/test_dreamer.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from composer.algorithms.losses.latents import balanced_kl, lambda_returns
from composer.algorithms.losses.policies import Policy
from composer.algorithms.losses.returns import of_only_copy
from composer.algorithms.program import Batch, BuiltAgent, Inputs, Objective, Program
from composer.algorithms.rssm import RSSM, Latent, Observed
from composer.networks.stacked import Stacked
from composer.spec.shape import Shape

ROLES = ("dynamics", "encoder", "prior", "posterior", "decoder", "reward", "continuation", "actor", "critic")
"""All follow the gradient of one loss."""
MODEL = ("reconstruction", "reward", "continuation", "dynamics", "representation")
SEQUENCE = tuple(f"sequence/{name}" for name in ("observation", "action", "reward", "first", "last", "terminal"))


@dataclass(frozen=True)
class Settings:
    """Sizes, and numbers of the loss; tensors are ``[S, 1, 1]`` unless a shape is given."""

    moments: int
    """T"""
    horizon: int
    """H"""
    recurrent: int
    """D"""
    variables: int
    """V"""
    classes: int
    """K"""
    actions: int
    """a"""
    largest_pixel: int
    """Value of the brightest pixel that a picture can have; 0: observations are vectors."""
    uniform_share: Tensor
    """``[S, 1, 1, 1]``"""
    discount: Tensor
    free_nats: Tensor
    representation_weight: Tensor
    """``[S]``"""
    replay_value_weight: Tensor
    """``[S]``"""
    trace_decay: Tensor
    entropy_bonus: Tensor
    slow_weight: Tensor
    range_rate: Tensor
    """``[S]``"""
    range_minimum: Tensor


class Imagined(NamedTuple):
    """Trajectories from every observed latent, ``[S, N, H + 1, ...]``, without gradient."""

    features: Tensor
    action: Tensor
    reward: Tensor
    goes_on: Tensor
    """Probability that the episode has not terminated."""


class DreamerProgram(Program):
    """One objective over nine networks, and acting from a latent that is remembered."""

    signals: tuple[str, ...] = (
        *(f"model/{name}" for name in MODEL),
        "actor/loss",
        "actor/entropy",
        "critic/loss",
        "critic/replay_loss",
        "critic/value",
        "returns/low",
        "returns/high",
    )
    extras = (*SEQUENCE, "remembered/recurrent", "remembered/stochastic")

    def __init__(self, built: BuiltAgent, policy: Policy[Any], settings: Settings) -> None:
        """Over the networks, the average ``slow_critic`` and the tensors that the spec declares."""
        it, self._policy, self._settings, self._own = settings, policy, settings, built.tensors
        self._networks, self._slow = built.networks, built.averages["slow_critic"]
        self._returns = built.returns
        self._model = RSSM.of(built.networks, it.variables, it.classes, it.uniform_share)
        latents = it.variables * it.classes
        self._sizes = {"recurrent": (it.recurrent,), "stochastic": (latents,)}
        self.noise: Mapping[str, Shape] = {
            "posterior": (it.moments, it.variables),
            "prior": (it.moments, it.horizon, it.variables),
            "action": (it.moments, it.horizon + 1, it.actions),
        }
        self.refreshed = {f"refreshed/{name}": (it.moments, *shape) for name, shape in self._sizes.items()}
        self.exploration_noise = self.evaluation_noise = (it.variables + it.actions,)
        self.objectives: tuple[Objective, ...] = (Objective(ROLES[0], self.loss, also_trains=ROLES[1:]),)

    @property
    def acting_memory(self) -> Mapping[str, Shape]:
        """The latent, and the last action."""
        return {**self._sizes, "action": (self._settings.actions,)}

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """An action ``[S, E, a]`` in the first moment of an episode."""
        rows = observation.shape[:2]
        empty = {name: observation.new_zeros(*rows, *shape) for name, shape in self.acting_memory.items()}
        return self.act_from_memory(observation, noise, observation.new_ones(rows), empty)[0]

    def act_from_memory(
        self, observation: Tensor, noise: Tensor | None, starts: Tensor, memory: Mapping[str, Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor], Mapping[str, Tensor]]:
        """A draw of the policy at a draw of the posterior; without noise the median draw and the mode."""
        it, before = self._settings, Latent(memory["recurrent"], memory["stochastic"])
        drawn = observation.new_zeros(*observation.shape[:2], it.variables) if noise is None else noise
        tokens = self._model.tokens(observation)
        latent, _ = self._model.observe(before, memory["action"], tokens, drawn[..., : it.variables])
        raw = of_only_copy(self._networks["actor"](latent.features))
        action = self._policy.mode(raw) if noise is None else self._policy.draw(raw, noise[..., it.variables :])
        return action, {}, {**latent._asdict(), "action": action}

    def evaluate_from_memory(
        self, observation: Tensor, noise: Tensor | None, starts: Tensor, memory: Mapping[str, Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """A draw too, as in the released code; the action is in the box."""
        action, _, after = self.act_from_memory(observation, noise, starts, memory)
        return self._policy.to_env_action(action), after

    def to_env_action(self, action: Tensor) -> Tensor:
        """Normals are cut to the box."""
        return self._policy.to_env_action(action)

    def loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """World model, actor and critic; no gradient of the last two but that on replayed moments reaches the model."""
        it = self._settings
        observed = self._observed(batch, noise)
        features = observed.latent.features
        signals["refreshed/recurrent"], signals["refreshed/stochastic"] = observed.latent.detached()
        total = self._model_loss(batch, observed, features, signals)
        imagined = self._imagined(observed.latent.detached(), noise)
        first_return, loss = self._behaviour_loss(imagined, signals)
        replayed = self._replay_value_loss(batch, features, first_return.view(features.shape[:3]))
        signals["critic/replay_loss"] = replayed.detach()
        return total + loss + it.replay_value_weight * replayed

    def finish_update(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> None:
        """The range of returns moves."""
        for name in ("low", "high"):
            self._own[f"{name}_return"].copy_(signals[f"returns/{name}"])

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """What networks read of the first moment of an episode, and of the one after the action.

        Dynamics and prior, to which all first moments are alike, one action later.
        """
        rows, drawn = batch.reward.shape, noise["posterior"]
        latent = Latent(*(batch.reward.new_zeros(*rows, *shape) for shape in self._sizes.values()))
        found: dict[str, list[Tensor]] = {role: [] for role in ROLES}
        for time, seen in enumerate((batch.observation, batch.next_observation)):
            tokens = self._model.tokens(seen)
            latent, _ = self._model.observe(latent, time * batch.action, tokens, drawn[:, :, time])
            found["encoder"].append(seen)
            found["posterior"].append(torch.cat([latent.recurrent, tokens], -1))
            found["dynamics"].append(torch.cat([*latent, batch.action], -1))
            found["prior"].append(self._model.advance(latent, batch.action))
            for role in ROLES[4:]:
                found[role].append(latent.features)
        return {role: Inputs(*pair) for role, pair in found.items()}

    def default_extras(self, batch: Batch) -> Mapping[str, Tensor]:
        """The observation and the next one, which is then repeated as a first one."""
        it, rows = self._settings, batch.reward.shape
        length = it.moments + 1
        later = batch.next_observation.unsqueeze(2).repeat_interleave(max(length - 2, 0), 2)
        observation = torch.cat([batch.observation.unsqueeze(2).repeat_interleave(2, 2), later], 2)[:, :, :length]
        action = batch.reward.new_zeros(*rows, length, it.actions)
        reward, first, terminal = (batch.reward.new_zeros(*rows, length) for _ in range(3))
        first[:], action[:, :, 1] = 1, batch.action
        if length > 2:
            first[:, :, 2], reward[:, :, 2] = 0, batch.reward
            terminal[:, :, 2] = (batch.bootstrap == 0).float()
        sequence = (observation, action, reward, first, terminal, terminal)
        latent = [batch.reward.new_zeros(*rows, *shape) for shape in self._sizes.values()]
        return dict(zip(self.extras, (*sequence, *latent), strict=True))

    def _observed(self, batch: Batch, noise: Mapping[str, Tensor]) -> Observed:
        """Latents of the moments after the first of each sequence, from what was remembered there."""
        extra, before = batch.extra, Latent(batch.extra["remembered/recurrent"], batch.extra["remembered/stochastic"])
        seen = extra["sequence/observation"][:, :, 1:]
        tokens = self._model.tokens(seen.flatten(1, 2), training=True).unflatten(1, seen.shape[1:3])
        action, first = extra["sequence/action"][:, :, :-1], extra["sequence/first"][:, :, 1:]
        return self._model.observe_all(before, action, first, tokens, noise["posterior"], training=True)

    def _model_loss(self, batch: Batch, observed: Observed, features: Tensor, signals: dict[str, Tensor]) -> Tensor:
        """Squared errors of the observation, cross-entropies of reward and continuation, and both KL divergences."""
        it, extra = self._settings, batch.extra
        seen, reward, terminal = (extra[f"sequence/{name}"][:, :, 1:] for name in ("observation", "reward", "terminal"))
        prior = self._model.prior_of(observed.latent.recurrent.flatten(1, 2), training=True)
        dynamics, representation = balanced_kl(observed.posterior.flatten(1, 2), prior, it.free_nats[..., 0])
        head, raw = self._returns["reward"], self._raw("reward", features)
        wanted = head.transform(raw.detach(), reward, torch.zeros_like(reward))
        goes_on, logit = (1 - terminal) * it.discount, self._raw("continuation", features)
        each = (
            self._reconstruction(seen.flatten(3), features).mean((1, 2)),
            head.loss(raw, wanted).mean((1, 2)),
            binary_cross_entropy_with_logits(logit, goes_on, reduction="none").mean((1, 2)),
            dynamics.mean(1),
            representation.mean(1),
        )
        signals |= {f"model/{name}": value.detach() for name, value in zip(MODEL, each, strict=True)}
        return sum(each[:4], it.representation_weight * each[4])

    def _reconstruction(self, seen: Tensor, features: Tensor) -> Tensor:
        """Squared errors ``[S, B, T]`` of the decoded observations, summed over entries or pixels in [0, 1]."""
        decoded, largest = self._raw("decoder", features), self._settings.largest_pixel
        if largest:
            decoded, seen = decoded.sigmoid(), seen / largest
        found: Tensor = (decoded - seen).square().sum(-1)
        return found

    @torch.no_grad()
    def _imagined(self, latent: Latent, noise: Mapping[str, Tensor]) -> Imagined:
        """Follow the policy for H steps from latents ``[S, B, T, ...]``."""
        latent = Latent(*(part.flatten(1, 2) for part in latent))
        prior, chosen = (noise[name].flatten(1, 2) for name in ("prior", "action"))
        features, actions = [latent.features], []
        for step in range(self._settings.horizon + 1):
            raw = of_only_copy(self._networks["actor"](features[-1]))
            actions.append(self._policy.draw(raw, chosen[:, :, step]))
            if step < self._settings.horizon:
                latent = self._model.imagine(latent, actions[-1], prior[:, :, step])
                features.append(latent.features)
        seen = torch.stack(features, 2)
        reward = self._returns["reward"].value(self._raw("reward", seen, training=False))
        goes_on = self._raw("continuation", seen, training=False).sigmoid()
        return Imagined(seen, torch.stack(actions, 2), reward, goes_on)

    def _behaviour_loss(self, imagined: Imagined, signals: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Returns from the first imagined moment ``[S, N]``, and the losses of actor and critic, ``[S]``."""
        it, (features, action, reward, goes_on) = self._settings, imagined
        raw = self._raw("critic", features)
        value = self._returns["critic"].value(raw).detach()
        returns = lambda_returns(reward, goes_on, torch.ones_like(reward), value, it.trace_decay)
        weight = goes_on.cumprod(-1)[..., :-1]
        low, high = self._range(returns)
        scale = torch.maximum((high - low)[:, None, None], it.range_minimum)
        advantage = (returns - value[..., :-1]) / scale
        policy = self._raw("actor", features[:, :, :-1])
        likelihood = self._policy.log_density(policy, action[:, :, :-1])
        entropy = self._policy.entropy(policy)
        actor = -(weight * (likelihood * advantage + it.entropy_bonus * entropy)).mean((1, 2))
        critic = (weight * self._value_loss(raw[:, :, :-1], returns, features[:, :, :-1])).mean((1, 2))
        signals["actor/loss"], signals["actor/entropy"] = actor.detach(), entropy.detach().mean((1, 2))
        signals["critic/loss"], signals["critic/value"] = critic.detach(), value.mean((1, 2))
        signals["returns/low"], signals["returns/high"] = low, high
        return returns[..., 0], actor + critic

    def _replay_value_loss(self, batch: Batch, features: Tensor, first_return: Tensor) -> Tensor:
        """The critic's loss ``[S]`` on replayed moments, whose returns bootstrap from imagined ones ``[S, B, T]``."""
        it = self._settings
        reward, last, terminal = (batch.extra[f"sequence/{name}"][:, :, 1:] for name in ("reward", "last", "terminal"))
        live = (1 - terminal) * it.discount
        returns = lambda_returns(reward, live, 1 - last, first_return, it.trace_decay)
        raw, kept = self._raw("critic", features)[:, :, :-1], 1 - last[:, :, :-1]
        return (kept * self._value_loss(raw, returns, features[:, :, :-1].detach())).mean((1, 2))

    def _value_loss(self, raw: Tensor, returns: Tensor, features: Tensor) -> Tensor:
        """Cross-entropy to returns, and to the values of the slow critic at ``features``."""
        head, zero = self._returns["critic"], torch.zeros_like(returns)
        slow = head.value(self._of(self._slow, features))
        targets = (head.transform(raw.detach(), number, zero).detach() for number in (returns, slow))
        to_returns, to_slow = (head.loss(raw, target) for target in targets)
        found: Tensor = to_returns + self._settings.slow_weight * to_slow
        return found

    def _range(self, returns: Tensor) -> tuple[Tensor, Tensor]:
        """The running 5th and 95th percentile of returns after this update, ``[S]`` each."""
        ends = torch.quantile(returns.flatten(1), returns.new_tensor([0.05, 0.95]), dim=1)
        held = (self._own["low_return"], self._own["high_return"])
        low, high = (old + self._settings.range_rate * (new - old) for old, new in zip(held, ends, strict=True))
        return low, high

    def _raw(self, role: str, features: Tensor, training: bool = True) -> Any:
        """The output of a network's only copy on ``[S, ..., f]``: ``[S, ..., ...]``."""
        return self._of(self._networks[role], features, training)

    def _of(self, network: Stacked, features: Tensor, training: bool = False) -> Any:
        rows = features.shape[1:-1]
        raw = of_only_copy(network(features.flatten(1, -2), training))
        return tuple(each.unflatten(1, rows) for each in raw) if isinstance(raw, tuple) else raw.unflatten(1, rows)
