"""Supervised learning: the loss over a stacked model. Legend: S seeds, B batch, K classes.

Tests: tests/papers/test_supervised.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.algorithms.program import Batch, Inputs, Objective, Program, Roles
from composer.optim.hyperparameters import Hyperparameters
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from composer.networks.stacked import Stacked


class SupervisedProgram(Program):
    """Cross-entropy of a model's softmax against one-hot answers, or its squared error against numbers."""

    def __init__(
        self,
        roles: Roles,
        label_smoothing: float,
        logit_decay: float,
        regression: bool,
        hyperparameters: Hyperparameters,
        teacher: tuple[str, float, float] | None = None,
    ) -> None:
        """The numbers enter as tensors: variants that differ in them share a compiled program.

        ``teacher`` is the name of an average, the weight of what is learned from it, and a temperature.
        """
        self._model = roles.networks["model"]
        self._smoothing, self._decay = (hyperparameters.number(value, 1) for value in (label_smoothing, logit_decay))
        self._regression = regression
        self.signals: tuple[str, ...] = ("model/loss",) if regression else ("model/loss", "model/accuracy")
        self._teacher = roles.averages[teacher[0]] if teacher else None
        if teacher:
            self._weight, self._temperature = (hyperparameters.number(value, 1) for value in teacher[1:])
            self.signals += ("model/distillation",)
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
        loss = loss + 0.5 * self._decay.squeeze(1) * logits.square().sum(-1).mean(1)
        return loss if self._teacher is None else loss + self._distilled(self._teacher, batch, logits, signals)

    def _distilled(self, teacher: Stacked, batch: Batch, logits: Tensor, signals: dict[str, Tensor]) -> Tensor:
        """``weight * T^2 KL(teacher || model)`` of softened probabilities: Hinton et al., arXiv:1503.02531."""
        heat = self._temperature[..., None]
        with torch.no_grad():
            wanted = torch.log_softmax(teacher(batch.observation)[:, 0] / heat, -1)
        logs = torch.log_softmax(logits / heat, -1)
        divergence = (wanted.exp() * (wanted - logs)).sum(-1).mean(1)
        signals["model/distillation"] = divergence.detach()
        return (self._weight * self._temperature.square()).squeeze(1) * divergence
