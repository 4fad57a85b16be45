"""Supervised learning: the loss over a stacked model. Legend: S seeds, B batch, K classes.

Tests: tests/papers/test_supervised.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.algorithms.program import Batch, BuiltAgent, Inputs, Objective, Program
from composer.optim.hyperparameters import Hyperparameters
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from composer.algorithms.losses.returns import Returns
    from composer.networks.stacked import Stacked


class SupervisedProgram(Program):
    """Cross-entropy of a model's softmax against one-hot labels, or squared error against numbers.

    A head that gives a distribution learns numbers with its own loss, and answers with its mean.
    """

    def __init__(
        self,
        built: BuiltAgent,
        label_smoothing: float,
        logit_decay: float,
        regression: bool,
        hyperparameters: Hyperparameters,
        teacher: tuple[str, float, float] | None = None,
    ) -> None:
        """``teacher``: the name of an average, the weight of its term, and its temperature."""
        self._model = built.networks["model"]
        self._smoothing, self._decay = (hyperparameters.number(value, 1) for value in (label_smoothing, logit_decay))
        self._regression = regression
        returns = built.returns.get("model")
        self._returns = None if returns is None or returns.is_expectation else returns
        self.signals: tuple[str, ...] = ("model/loss",) if regression else ("model/loss", "model/accuracy")
        self._teacher = built.averages[teacher[0]] if teacher else None
        if teacher:
            self._weight, self._temperature = (hyperparameters.number(value, 1) for value in teacher[1:])
            self.signals += ("model/distillation",)
        self.noise: Mapping[str, Shape] = {}
        self.objectives: tuple[Objective, ...] = (Objective("model", self.model_loss),)

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """Logits ``[S, B, K]``, or numbers ``[S, B, 1]``, in evaluation mode."""
        answers: Tensor = self._model(observation)[:, 0]
        if self._returns is not None:
            answers = self._returns.value(answers)
        return answers[..., None] if self._regression else answers

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """The model reads inputs; next inputs have no meaning."""
        return {"model": Inputs(batch.observation, batch.next_observation)}

    def model_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``mean(-sum q log p) + decay / 2 mean |logits|^2``, or with squared errors. Eq. 4, arXiv:2011.09468."""
        logits: Tensor = self._model(batch.observation, training=True)[:, 0]
        if self._returns is not None:
            return self._distribution_loss(self._returns, logits, batch.action[..., 0], signals)
        if self._regression:
            error = (logits - batch.action[..., 0]).square().mean(1)
            signals["model/loss"] = error.detach()
            return error + 0.5 * self._decay.squeeze(1) * logits.square().mean(1)
        logs = torch.log_softmax(logits, -1)
        log_likelihood = (batch.action * logs).sum(-1)
        loss = -((1 - self._smoothing) * log_likelihood + self._smoothing * logs.mean(-1)).mean(1)
        signals["model/loss"] = loss.detach()
        signals["model/accuracy"] = (logits.argmax(-1) == batch.action.argmax(-1)).float().mean(1)
        loss = loss + 0.5 * self._decay.squeeze(1) * logits.square().sum(-1).mean(1)
        return loss if self._teacher is None else loss + self._distilled(self._teacher, batch, logits, signals)

    def _distribution_loss(
        self, returns: Returns[Tensor], raw: Tensor, numbers: Tensor, signals: dict[str, Tensor]
    ) -> Tensor:
        """The head's own loss against a target without spread: a two-hot or Gaussian one at atoms, or quantiles."""
        target = returns.transform(raw.detach(), numbers, torch.zeros_like(numbers))
        loss = returns.loss(raw, target).mean(1)
        signals["model/loss"] = loss.detach()
        return loss + 0.5 * self._decay.squeeze(1) * raw.square().sum(-1).mean(1)

    def _distilled(self, teacher: Stacked, batch: Batch, logits: Tensor, signals: dict[str, Tensor]) -> Tensor:
        """``weight * T^2 KL(teacher || model)`` of softened probabilities: Hinton et al., arXiv:1503.02531."""
        temperature = self._temperature[..., None]
        with torch.no_grad():
            goal = torch.log_softmax(teacher(batch.observation)[:, 0] / temperature, -1)
        logs = torch.log_softmax(logits / temperature, -1)
        divergence = (goal.exp() * (goal - logs)).sum(-1).mean(1)
        signals["model/distillation"] = divergence.detach()
        return (self._weight * self._temperature.square()).squeeze(1) * divergence
