"""Steps of sharpness-aware minimisation on stacked parameters (arXiv:2010.01412). Tests: tests/papers/test_sam.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from composer.optim.hyperparameters import number
from composer.optim.steps import OptimizerState

Signals = dict[str, Tensor]

SMALLEST = 1e-12
"""Added to the norm, so that a gradient of zeros divides by no zero."""


class SharpnessState:
    """The state of another optimizer, and the way to where the gradient is taken again."""

    def __init__(self, parameters: Mapping[str, Tensor], base: OptimizerState, rho: float, seeds: int) -> None:
        """``base`` is over the same parameters."""
        self._parameters, self._base = list(parameters.values()), base
        # A tensor, so that variants that differ in it share a compiled program.
        self._rho = number(rho, (seeds,), self._parameters[0].device)

    def sharpest(
        self,
        slope: Callable[[Signals], Sequence[Tensor]],
        signals: Signals,
        buffers: Sequence[Tensor],
        held: Mapping[str, Tensor],
    ) -> Sequence[Tensor]:
        """The gradient at ``w + rho g / |g|``, Eq. 2 and 3, where ``g`` is that at ``w``; parameters stay as they are.

        ``slope`` gives the gradient at the present parameters and adds to ``signals``, which keep what the pass at
        ``w`` adds. ``buffers``, that a pass may change, are the same before both and left as the first one leaves them.
        ``held`` are parameters, by path, that stay where they are for some seeds: masks ``[S]``.
        """
        before = _copies(buffers)
        gradients = slope(signals)
        after = _copies(buffers)
        _put(buffers, before)
        origin = _copies(self._parameters)
        self._ascend([_without(held.get(path), g) for path, g in zip(self.paths(), gradients, strict=True)])
        sharpest = slope(dict(signals))
        _put(self._parameters, origin)
        _put(buffers, after)
        return sharpest

    @torch.no_grad()
    def _ascend(self, gradients: Sequence[Tensor]) -> None:
        squares = torch.stack([gradient.square().flatten(1).sum(1) for gradient in gradients])
        factor = self._rho / (squares.sum(0).sqrt() + SMALLEST)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.add_(gradient * _each(factor, gradient))

    def step(self, gradients: Sequence[Tensor]) -> None:
        """The step of the base."""
        self._base.step(gradients)

    def tensors(self) -> dict[str, Tensor]:
        """Those of the base."""
        return self._base.tensors()

    def paths(self) -> Sequence[str]:
        """In their order."""
        return self._base.paths()

    def moments(self, path: str) -> tuple[Tensor, ...]:
        """Those of the base."""
        return self._base.moments(path)

    def count(self, path: str) -> Tensor:
        """That of the base."""
        return self._base.count(path)

    def clock(self) -> Tensor:
        """That of the base."""
        return self._base.clock()

    def counters(self) -> tuple[Tensor, ...]:
        """Those of the base."""
        return self._base.counters()


def _each(scalar: Tensor, like: Tensor) -> Tensor:
    """``[S]`` shaped to broadcast against a parameter."""
    return scalar.view(-1, *[1] * (like.ndim - 1))


def _without(seeds: Tensor | None, gradient: Tensor) -> Tensor:
    """A gradient, 0 for the seeds that are named."""
    return gradient if seeds is None else torch.where(_each(seeds, gradient), 0.0, gradient)


def _copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


@torch.no_grad()
def _put(tensors: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Give tensors other values in place, to the bit."""
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)
