"""Steps of sharpness-aware minimisation on stacked parameters (arXiv:2010.01412). Tests: tests/papers/test_sam.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from typing_extensions import override

from composer.optim.hyperparameters import Hyperparameters
from composer.optim.steps import OptimizerState, Signals

SMALLEST = 1e-12
"""Added to the norm, against division by zero."""


class SharpnessState(OptimizerState):
    """Takes gradients at ``w + rho g / |g|`` and leaves everything else to another optimizer."""

    def __init__(
        self, parameters: Mapping[str, Tensor], base: OptimizerState, rho: float, hyperparameters: Hyperparameters
    ) -> None:
        """``base`` moves the same parameters."""
        self._parameters, self._base = list(parameters.values()), base
        self._rho = hyperparameters.number(rho)

    @override
    def gradients(
        self,
        gradient: Callable[[Signals], Sequence[Tensor]],
        signals: Signals,
        buffers: Sequence[Tensor],
        frozen: Mapping[str, Tensor],
    ) -> Sequence[Tensor]:
        """The gradients at ``w + rho g / |g|``, Eq. 2 and 3, with ``g`` the gradient at ``w``; parameters do not move.

        Signals and buffers are those of the pass at ``w``; both passes start from the same buffers.
        """
        before = _copies(buffers)
        first = gradient(signals)
        after = _copies(buffers)
        _put(buffers, before)
        origin = _copies(self._parameters)
        self._ascend([_without(frozen.get(path), g) for path, g in zip(self.paths(), first, strict=True)])
        second = gradient(dict(signals))
        _put(self._parameters, origin)
        _put(buffers, after)
        return second

    @torch.no_grad()
    def _ascend(self, gradients: Sequence[Tensor]) -> None:
        squares = torch.stack([gradient.square().flatten(1).sum(1) for gradient in gradients])
        factor = self._rho / (squares.sum(0).sqrt() + SMALLEST)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.add_(gradient * _each(factor, gradient))

    @override
    def step(self, gradients: Sequence[Tensor]) -> None:
        self._base.step(gradients)

    @override
    def tensors(self) -> dict[str, Tensor]:
        return self._base.tensors()

    @override
    def paths(self) -> Sequence[str]:
        return self._base.paths()

    @override
    def moments(self, path: str) -> tuple[Tensor, ...]:
        return self._base.moments(path)

    @override
    def count(self, path: str) -> Tensor:
        return self._base.count(path)

    @override
    def clock(self) -> Tensor:
        return self._base.clock()

    @override
    def counters(self) -> tuple[Tensor, ...]:
        return self._base.counters()


def _each(scalar: Tensor, like: Tensor) -> Tensor:
    """``[S]`` shaped to broadcast against a parameter."""
    return scalar.view(-1, *[1] * (like.ndim - 1))


def _without(seeds: Tensor | None, gradient: Tensor) -> Tensor:
    """A gradient, 0 for the seeds of a mask ``[S]``."""
    return gradient if seeds is None else torch.where(_each(seeds, gradient), 0.0, gradient)


def _copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


@torch.no_grad()
def _put(tensors: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Copy values into tensors."""
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)
