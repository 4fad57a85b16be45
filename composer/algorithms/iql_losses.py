"""Implicit Q-learning: losses and acting rule over stacked networks.

Source: Kostrikov et al., arXiv:2110.06169, and its released code (ikostrikov/implicit_q_learning).
Legend: S seeds, C critics, B batch, E environments, d observation, a action. Tests: tests/papers/test_iql.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from composer.algorithms.losses.critics import critics_loss
from composer.algorithms.losses.policies import GaussianPolicy
from composer.algorithms.losses.returns import of_only_copy
from composer.algorithms.program import Batch, BuiltAgent, Inputs, Objective, Program
from composer.spec.shape import Shape


@dataclass(frozen=True)
class Settings:
    """Numbers of ``IQL``, ``[S, 1]`` each."""

    expectile: Tensor
    inverse_temperature: Tensor
    largest_weight: Tensor


class IQLProgram(Program):
    """Three objectives over a value network, an actor and C critics with their target."""

    noise: Mapping[str, Shape] = {}
    signals: tuple[str, ...] = (
        "value/loss",
        "value/value",
        "actor/loss",
        "actor/weight",
        "actor/clipped",
        "critic/loss",
        "critic/value",
    )

    def __init__(self, built: BuiltAgent, settings: Settings) -> None:
        """Over networks ``value``, ``actor`` and ``critic`` and the average ``target_critic``."""
        self._value, self._actor, self._critic = (built.networks[role] for role in ("value", "actor", "critic"))
        self._target, self._returns = built.averages["target_critic"], built.returns
        self._policy, self._settings = GaussianPolicy(), settings
        losses = {"value": self.value_loss, "actor": self.actor_loss, "critic": self.critic_loss}
        self.objectives: tuple[Objective, ...] = tuple(Objective(role, loss) for role, loss in losses.items())

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """The mean ``[S, E, a]``, or with ``noise [S, E, a]`` a draw of the policy, clipped to the action box."""
        raw = of_only_copy(self._actor(observation))
        return self._policy.mode(raw) if noise is None else self._policy.draw(raw, noise).clamp(-1, 1)

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """No loss has a next action: the mean of the policy."""
        seen = Inputs(batch.observation, batch.next_observation)
        pairs = (batch.observation, batch.action), (batch.next_observation, self.act(batch.next_observation, None))
        return {"value": seen, "actor": seen, "critic": Inputs(*(torch.cat(pair, -1) for pair in pairs))}

    def value_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``mean |tau - 1{u < 0}| u^2`` with ``u = min_c Q'_c(s, a) - V(s)``. Eq. 5."""
        value = self._values(batch.observation, training=True)
        error = self._target_value(batch) - value
        loss: Tensor = (expectile_weight(error, self._settings.expectile) * error.square()).mean(1)
        signals["value/loss"], signals["value/value"] = loss.detach(), value.detach().mean(1)
        return loss

    def actor_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``-mean min(exp(beta (min_c Q'_c(s, a) - V(s))), largest) log pi(a | s)``. Eq. 7, clipped as in the code."""
        given = self._settings
        with torch.no_grad():
            advantage = self._target_value(batch) - self._values(batch.observation)
            weight = (given.inverse_temperature * advantage).exp().minimum(given.largest_weight)
        raw = of_only_copy(self._actor(batch.observation, training=True))
        loss: Tensor = -(weight * self._policy.log_density(raw, batch.action)).mean(1)
        signals["actor/loss"], signals["actor/weight"] = loss.detach(), weight.mean(1)
        signals["actor/clipped"] = (weight == given.largest_weight).float().mean(1)
        return loss

    def critic_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``sum_c mean (Q_c(s, a) - r - discount V(s'))^2``. Eq. 6."""
        with torch.no_grad():
            target = batch.reward + batch.bootstrap * self._values(batch.next_observation)
        predicted = self._critic(torch.cat([batch.observation, batch.action], -1), training=True)
        return critics_loss(self._returns["critic"], predicted, target, signals)

    def _values(self, observation: Tensor, training: bool = False) -> Tensor:
        """V, ``[S, B]``."""
        value: Tensor = self._returns["value"].value(self._value(observation, training))[:, 0]
        return value

    def _target_value(self, batch: Batch) -> Tensor:
        """The lowest target critic's value of the pairs of the batch, ``[S, B]``, without a gradient."""
        with torch.no_grad():
            raw = self._target(torch.cat([batch.observation, batch.action], -1))
            return self._returns["critic"].value(raw).amin(1)


def expectile_weight(error: Tensor, expectile: Tensor) -> Tensor:
    """``|tau - 1{error < 0}|``: tau where the target is above the value, else 1 - tau, arXiv:2110.06169, Eq. 4.

    At an error of 0 the weight does not count. The code has 1 - tau there.
    """
    return torch.where(error > 0, expectile, 1 - expectile)
