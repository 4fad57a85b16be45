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
    """Cross-entropy of a model's softmax against one-hot answers, or its squared error against numbers."""

    def __init__(
        self, roles: Roles, label_smoothing: float, logit_decay: float, regression: bool, seeds: int, device: str
    ) -> None:
        """The numbers enter as tensors: variants that differ in them share a compiled program."""
        self._model = roles.networks["model"]
        self._smoothing, self._decay = (
            torch.full((seeds, 1), value, device=device) for value in (label_smoothing, logit_decay)
        )
        self._regression = regression
        self.signals: tuple[str, ...] = ("model/loss",) if regression else ("model/loss", "model/accuracy")
        self.noise: Mapping[str, Shape] = {}
        self.objectives: tuple[Objective, ...] = (Objective("model", self.model_loss),)

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """Logits ``[S, B, K]``, or numbers ``[S, B, 1]``, in evaluation mode."""
        answers: Tensor = self._model(observation)[:, 0]
        return answers[..., None] if self._regression else answers

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """The inputs; there is no next one."""
        return {"model": Inputs(batch.observation, batch.next_observation)}

    def model_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """Mean of ``-sum q log p`` or of squared errors, plus half the decay times the mean square output.

        Spectral decoupling: arXiv:2011.09468, Eq. 4.
        """
        logits: Tensor = self._model(batch.observation, training=True)[:, 0]
        if self._regression:
            error = (logits - batch.action[..., 0]).square().mean(1)
            signals["model/loss"] = error.detach()
            return error + 0.5 * self._decay.squeeze(1) * logits.square().mean(1)
        logs = torch.log_softmax(logits, -1)
        right = (batch.action * logs).sum(-1)
        loss = -((1 - self._smoothing) * right + self._smoothing * logs.mean(-1)).mean(1)
        signals["model/loss"] = loss.detach()
        signals["model/accuracy"] = (logits.argmax(-1) == batch.action.argmax(-1)).float().mean(1)
        return loss + 0.5 * self._decay.squeeze(1) * logits.square().sum(-1).mean(1)
