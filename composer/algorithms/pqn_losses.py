"""Parallelised Q-learning: loss and acting rule over a stacked value network.

Source: Gallici et al., arXiv:2407.04811; returns come with the batch.
Legend: S seeds, B batch, E environments of a seed, A actions. Tests: tests/papers/test_pqn.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from composer.algorithms.losses.exploration import Exploration
from composer.algorithms.losses.policies import one_hot
from composer.algorithms.losses.returns import chosen, of_only_copy
from composer.algorithms.on_policy import OnPolicyProgram
from composer.algorithms.program import Batch, BuiltAgent, Inputs, Objective
from composer.spec.shape import Shape


class PQNProgram(OnPolicyProgram):
    """One objective over the value network."""

    extras = ("return",)
    exploration_noise = (2,)
    noise: Mapping[str, Shape] = {}
    signals = ("value/loss", "value/value", "value/return")

    def __init__(self, built: BuiltAgent, exploration: Exploration) -> None:
        """``exploration`` follows the updates of ``built``."""
        assert built.updates is not None
        self._value, self._returns, self._updates = built.networks["value"], built.returns["value"], built.updates
        self._exploration = exploration
        self.evaluation_noise = None if exploration.evaluation_epsilon is None else (2,)
        self.objectives: tuple[Objective, ...] = (Objective("value", self.value_loss),)

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """One-hot actions ``[S, E, A]``: epsilon-greedy with ``noise [S, E, 2]``, greedy without."""
        greedy = self._values(observation).argmax(-1)
        if noise is None:
            return one_hot(greedy, self._exploration.actions)
        return self._exploration.choose(greedy, self._exploration.epsilon(self._updates), noise)

    def evaluate(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """Epsilon-greedy with the epsilon of evaluations."""
        epsilon = self._exploration.evaluation_epsilon
        if noise is None or epsilon is None:
            return self.act(observation, None)
        return self._exploration.choose(self._values(observation).argmax(-1), epsilon, noise)

    @torch.no_grad()
    def value(self, observation: Tensor) -> Tensor:
        """``max_a Q(s, a)``, ``[S, B]``, in evaluation mode."""
        return self._values(observation).amax(-1)

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """Observations."""
        return {"value": Inputs(batch.observation, batch.next_observation)}

    def default_extras(self, batch: Batch) -> Mapping[str, Tensor]:
        """Returns of one step."""
        return {"return": batch.reward + batch.bootstrap * self.value(batch.next_observation)}

    def value_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``mean L(Q(s, a), G) / 2`` with the returns G and the head's loss L: half of the squared error, as released.

        ``pqn_atari.py`` of mttga/purejaxql; the factor matters to the bound on gradients.
        """
        returns, target = self._returns, batch.extra["return"]
        raw = of_only_copy(self._value(batch.observation, training=True))
        predicted: Any = chosen(raw, batch.action.argmax(-1, keepdim=True), 2)
        with torch.no_grad():
            goal = returns.transform(predicted, target, torch.zeros_like(target))
        loss: Tensor = 0.5 * returns.loss(predicted, goal).mean(1)
        with torch.no_grad():
            signals["value/loss"], signals["value/value"] = loss.detach(), returns.value(predicted).mean(1)
            signals["value/return"] = target.mean(1)
        return loss

    def _values(self, observation: Tensor) -> Tensor:
        """``[S, B, A]``, in evaluation mode."""
        values: Tensor = self._returns.value(of_only_copy(self._value(observation)))
        return values
