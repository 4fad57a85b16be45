"""Supervised learning: the loss over a stacked model. Legend: S seeds, B batch, K classes.

Tests: tests/papers/test_supervised.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from composer.algorithms.base import Batch, Inputs, Objective, Roles
from composer.shapes import Shape


class SupervisedProgram:
    """Cross-entropy of a model's softmax against one-hot answers."""

    def __init__(self, roles: Roles, label_smoothing: float, logit_decay: float, seeds: int, device: str) -> None:
        """The numbers enter as tensors: variants that differ in them share a compiled program."""
        self._model = roles.networks["model"]
        self._smoothing, self._decay = (
            torch.full((seeds, 1), value, device=device) for value in (label_smoothing, logit_decay)
        )
        self.signals: tuple[str, ...] = ("model/loss", "model/accuracy")
        self.noise: Mapping[str, Shape] = {}
        self.objectives: tuple[Objective, ...] = (Objective("model", self.model_loss),)

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """Logits ``[S, B, K]``, in evaluation mode."""
        logits: Tensor = self._model(observation)[:, 0]
        return logits

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """The inputs; there is no next one."""
        return {"model": Inputs(batch.observation, batch.next_observation)}

    def model_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """Mean over the batch of ``-sum q log p``, and half the decay times the mean square of the logits."""
        logits: Tensor = self._model(batch.observation, training=True)[:, 0]
        logs = torch.log_softmax(logits, -1)
        right = (batch.action * logs).sum(-1)
        loss = -((1 - self._smoothing) * right + self._smoothing * logs.mean(-1)).mean(1)
        signals["model/loss"] = loss.detach()
        signals["model/accuracy"] = (logits.argmax(-1) == batch.action.argmax(-1)).float().mean(1)
        return loss + 0.5 * self._decay.squeeze(1) * logits.square().sum(-1).mean(1)
