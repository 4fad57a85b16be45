"""Normalisation by everything seen in training.

Spec: composer/networks/blocks/rs_norm.py.
Tests: tests/papers/test_running_norm.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RunningNorm(nn.Module):
    """``(x - mean) / sqrt(variance + epsilon)`` by the moments of all training batches so far. Keeps the shape.

    Batches are merged by Chan's parallel formula, in place, in float32 and without a gradient.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, shape: tuple[int, ...], epsilon: float = 1e-8, start: float = 1e-4) -> None:
        """``shape`` is that of one sample; mean 0 and variance 1 weigh as much as ``start`` samples."""
        super().__init__()
        self.epsilon = epsilon
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("variance", torch.ones(shape))
        self.register_buffer("count", torch.full((), start))

    def forward(self, x: Tensor) -> Tensor:
        """The normalised input; in training mode the statistics take the batch in before."""
        if self.training:
            self._observe(x.detach().reshape(-1, *self.mean.shape))
        return (x - self.mean) * (self.variance + self.epsilon).rsqrt()

    def _observe(self, batch: Tensor) -> None:
        variance, mean = torch.var_mean(batch, 0, correction=0)
        total = self.count + batch.shape[0]
        # Shares of the total, not sums of squares: nothing grows with the count. Each is divided out by itself, for
        # 1 - share would have lost its digits while the starting weight is small.
        share, kept = batch.shape[0] / total, self.count / total
        delta = mean - self.mean
        self.variance.mul_(kept).add_(share * variance + share * kept * delta.square())
        self.mean.add_(share * delta)
        self.count.copy_(total)
