"""Steps of sharpness-aware minimisation on stacked parameters (arXiv:2010.01412). Tests: tests/papers/test_sam.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from composer.networks.stacked import per_seed
from composer.optim.steps import Signals

SMALLEST = 1e-12
"""Added to the norm, against division by zero."""


class SharpestGradient:
    """The gradient at ``w + rho g / |g|``, Eq. 2 and 3, with ``g`` the gradient at ``w``: a ``GradientRule``."""

    def __init__(self, parameters: Mapping[str, Tensor], rho: Tensor) -> None:
        """``rho [S]``; ``parameters`` by path are those of one optimizer."""
        self._paths, self._parameters, self._rho = list(parameters), list(parameters.values()), rho

    def gradients(
        self,
        gradient: Callable[[Signals], Sequence[Tensor]],
        signals: Signals,
        buffers: Sequence[Tensor],
        frozen: Mapping[str, Tensor],
    ) -> Sequence[Tensor]:
        """Signals and buffers are those of the pass at ``w``; both passes start from the same buffers."""
        before = _copies(buffers)
        first = gradient(signals)
        after = _copies(buffers)
        _put(buffers, before)
        origin = _copies(self._parameters)
        self._ascend([_without(frozen.get(path), g) for path, g in zip(self._paths, first, strict=True)])
        second = gradient(dict(signals))
        _put(self._parameters, origin)
        _put(buffers, after)
        return second

    @torch.no_grad()
    def _ascend(self, gradients: Sequence[Tensor]) -> None:
        squares = torch.stack([gradient.square().flatten(1).sum(1) for gradient in gradients])
        factor = self._rho / (squares.sum(0).sqrt() + SMALLEST)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.add_(gradient * per_seed(factor, gradient))


def _without(seeds: Tensor | None, gradient: Tensor) -> Tensor:
    """A gradient, 0 for the seeds of a mask ``[S]``."""
    return gradient if seeds is None else torch.where(per_seed(seeds, gradient), 0.0, gradient)


def _copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


@torch.no_grad()
def _put(tensors: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Copy values into tensors."""
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)
