"""Optimizer steps on stacked parameters: elementwise, in place, one learning rate a seed.

Written here and not taken from ``torch.optim`` because the step runs inside the captured update, over parameters that
carry the axis of members ``[seeds, copies, ...]``, with step counts by parameter and seed that interventions may reset.
``tests/papers/test_adam.py`` holds it to ``torch.optim.AdamW``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from composer.optim.hyperparameters import number
from composer.optim.schedules import Schedule


class OptimizerState(Protocol):
    """What the learner asks of an optimizer."""

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move the parameters in place; gradients in the order of the parameters given at construction."""

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state by name, the very tensors: what a checkpoint saves and loads in place."""

    def paths(self) -> Sequence[str]:
        """The parameters that it moves."""

    def moments(self, path: str) -> tuple[Tensor, ...]:
        """What is kept beside each entry of a parameter, ``[seeds, copies, ...]`` each, the very tensors."""

    def count(self, path: str) -> Tensor:
        """Steps that a parameter has taken since its moments began, ``[seeds]``, the very tensor."""

    def clock(self) -> Tensor:
        """Steps since the schedules began, ``[seeds]``, the very tensor."""

    def counters(self) -> tuple[Tensor, ...]:
        """What is counted of no parameter, the clock among it, ``[seeds]`` each, the very tensors."""


def carry(old: OptimizerState, new: OptimizerState) -> None:
    """Copy counters, and what is known of the parameters that both move, from one state to another of the same kind."""
    for theirs, ours in zip(old.counters(), new.counters(), strict=True):
        ours.copy_(theirs)
    for path in set(old.paths()) & set(new.paths()):
        new.count(path).copy_(old.count(path))
        for theirs, ours in zip(old.moments(path), new.moments(path), strict=True):
            ours.copy_(theirs)


class AdamState:
    """Moments ``[seeds, copies, ...]`` and step counts ``[seeds, parameters]`` of Adam with decoupled weight decay."""

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        seeds: int,
        learning_rate: Schedule,
        beta1: float,
        beta2: float,
        epsilon: float,
        weight_decay: float,
        decayed: Collection[str],
        max_gradient_norm: float | None = None,
    ) -> None:
        self._paths = list(parameters)
        self._parameters = list(parameters.values())
        self._first = [torch.zeros_like(p, requires_grad=False) for p in self._parameters]
        self._second = [torch.zeros_like(p, requires_grad=False) for p in self._parameters]
        device = self._parameters[0].device
        # Counts and what is computed from them alone are float64: float32 stops counting at 16.8 million.
        self._clock = torch.zeros(seeds, dtype=torch.float64, device=device)
        self._steps = torch.zeros(seeds, len(self._paths), dtype=torch.float64, device=device)
        self._rate = learning_rate.build(seeds, str(device))
        # Numbers enter as tensors: a variant with other numbers runs the same compiled program.
        self._beta1, self._beta2, self._epsilon, self._decay = (
            number(each, (seeds,), device, torch.float64) for each in (beta1, beta2, epsilon, weight_decay)
        )
        self._longest = None if max_gradient_norm is None else number(max_gradient_norm, (seeds,), device)
        self._decayed = [weight_decay > 0 and path in decayed for path in self._paths]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step, arXiv:1711.05101 algorithm 2: decay first, then the bias-corrected Adam direction."""
        if self._longest is not None:
            gradients = clip_by_global_norm(gradients, self._longest)
        rate = self._rate(self._clock)
        self._clock.add_(1)
        self._steps.add_(1)
        # Rows are parameters from here on.
        unbias1 = (1 - self._beta1**self._steps.mT).float()
        unbias2 = (1 - self._beta2**self._steps.mT).float()
        shrink = (1 - rate * self._decay).float()
        keep2, take1, take2 = self._beta2.float(), (1 - self._beta1).float(), (1 - self._beta2).float()
        epsilon, sizes = self._epsilon.float(), unbias1 / rate
        for parameter, gradient, first, second, decays, unbias, size in zip(
            self._parameters, gradients, self._first, self._second, self._decayed, unbias2, sizes, strict=True
        ):
            first.lerp_(gradient, _each(take1, gradient))
            # One temporary at a time: fresh memory costs more than the arithmetic of a large layer.
            second.mul_(_each(keep2, gradient)).add_((gradient * gradient).mul_(_each(take2, gradient)))
            scale = (second / _each(unbias, gradient)).sqrt_().add_(_each(epsilon, gradient))
            if decays:
                parameter.mul_(_each(shrink, gradient))
            parameter.addcdiv_(first, scale.mul_(_each(size, gradient)), value=-1)

    def tensors(self) -> dict[str, Tensor]:
        """``clock``, ``steps``, and ``first.PATH`` and ``second.PATH`` for every parameter."""
        named = {"clock": self._clock, "steps": self._steps}
        for path, first, second in zip(self._paths, self._first, self._second, strict=True):
            named |= {f"first.{path}": first, f"second.{path}": second}
        return named

    def paths(self) -> Sequence[str]:
        """In their order."""
        return self._paths

    def moments(self, path: str) -> tuple[Tensor, ...]:
        """First and second moment."""
        index = self._paths.index(path)
        return self._first[index], self._second[index]

    def count(self, path: str) -> Tensor:
        """A column of the counts."""
        return self._steps[:, self._paths.index(path)]

    def clock(self) -> Tensor:
        """Steps since the schedules began, ``[seeds]``."""
        return self._clock

    def counters(self) -> tuple[Tensor, ...]:
        """The clock."""
        return (self._clock,)


def clip_by_global_norm(gradients: Sequence[Tensor], max_norm: Tensor) -> list[Tensor]:
    """Gradients ``[seeds, copies, ...]`` whose norm, all of a seed's together, is ``longest [seeds]`` at most.

    As ``torch.nn.utils.clip_grad_norm_`` does it: Pascanu et al., arXiv:1211.5063.
    """
    squares = torch.stack([gradient.square().flatten(1).sum(1) for gradient in gradients])
    factor = (max_norm / (squares.sum(0).sqrt() + 1e-6)).clamp(max=1.0)
    return [gradient * _each(factor, gradient) for gradient in gradients]


def _each(scalar: Tensor, like: Tensor) -> Tensor:
    """``[seeds]`` shaped to broadcast against a parameter, which that of one seed does already."""
    return scalar if scalar.shape[0] == 1 else scalar.view(-1, *[1] * (like.ndim - 1))
