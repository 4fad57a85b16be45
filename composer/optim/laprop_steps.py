"""Steps of LaProp on stacked parameters, arXiv:2002.04839. Tests: tests/papers/test_laprop.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from typing_extensions import override

from composer.networks.stacked import per_seed
from composer.optim.hyperparameters import Hyperparameters
from composer.optim.schedules import Schedule
from composer.optim.steps import CountingState


class LaPropState(CountingState):
    """Moments ``[seeds, copies, ...]``: of normalised gradients, and of squared gradients."""

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        hyperparameters: Hyperparameters,
        learning_rate: Schedule,
        beta1: float,
        beta2: float,
        epsilon: float,
        clip: tuple[float, float] | None = None,
    ) -> None:
        """``clip``: the bound of adaptive gradient clipping, and the least norm of a parameter in it."""
        super().__init__(parameters, hyperparameters, learning_rate)
        self._first, self._second = self._zeros(), self._zeros()
        self._beta1, self._beta2 = (hyperparameters.number(beta, dtype=torch.float64) for beta in (beta1, beta2))
        self._epsilon = hyperparameters.number(epsilon)
        self._clip = None if clip is None else tuple(hyperparameters.number(number, 1) for number in clip)

    @override
    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step: clip, divide by the root of the running square, then take the running mean of the quotients."""
        rate = self._rate(self._clock)
        self._clock.add_(1)
        self._steps.add_(1)
        # Rows are parameters from here on.
        unbias1, unbias2 = ((1 - beta**self._steps.mT).float() for beta in (self._beta1, self._beta2))
        take1, take2 = (1 - self._beta1).float(), (1 - self._beta2).float()
        sizes = rate.float() / unbias1
        for parameter, given, first, second, unbias, size in zip(
            self._parameters, gradients, self._first, self._second, unbias2, sizes, strict=True
        ):
            gradient = self._clipped(given, parameter)
            second.lerp_(gradient * gradient, per_seed(take2, second))
            root = (second / per_seed(unbias, second)).sqrt_().add_(per_seed(self._epsilon, second))
            first.lerp_(gradient / root, per_seed(take1, first))
            parameter.sub_(first * per_seed(size, first))

    def _clipped(self, gradient: Tensor, parameter: Tensor) -> Tensor:
        """The gradient of each copy, scaled down to the bound that its parameter's norm gives."""
        if self._clip is None:
            return gradient
        bound, floor = self._clip
        length, weight = (_norm(each) for each in (gradient, parameter))
        factor = (length / (bound * torch.maximum(weight, floor))).clamp_min(1)
        return gradient / factor.view(*factor.shape, *[1] * (gradient.ndim - 2))

    @override
    def tensors(self) -> dict[str, Tensor]:
        """``clock``, ``steps``, and ``first.PATH`` and ``second.PATH`` for each parameter."""
        named = {"clock": self._clock, "steps": self._steps}
        for path, first, second in zip(self._paths, self._first, self._second, strict=True):
            named |= {f"first.{path}": first, f"second.{path}": second}
        return named

    @override
    def moments(self, path: str) -> tuple[Tensor, ...]:
        index = self._paths.index(path)
        return self._first[index], self._second[index]


def _norm(value: Tensor) -> Tensor:
    """Of each seed and copy, ``[seeds, copies]``."""
    length: Tensor = torch.linalg.vector_norm(value.reshape(*value.shape[:2], -1), dim=-1)
    return length
