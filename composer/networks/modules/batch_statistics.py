"""What batch norm and batch renorm share: moments of a batch, running ones, gain and shift.

``n`` are the features or channels. Tests: tests/papers/test_batch_statistics.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BatchStatistics(nn.Module):
    """Parameters and running statistics of ``n`` features, which have ``trailing`` axes after theirs.

    Statistics are taken over every other axis, in place and without a gradient.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self, features: int, trailing: int = 0, epsilon: float = 1e-5, momentum: float = 0.9, affine: bool = True
    ) -> None:
        """``trailing`` is 0 for vectors and 2 for images; ``momentum`` is the share of the running statistic kept."""
        super().__init__()
        self.trailing, self.epsilon, self.momentum = trailing, epsilon, momentum
        self.weight = nn.Parameter(torch.ones(features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(features)) if affine else None
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor, int]:
        """Mean ``[n]`` and population variance ``[n]`` of a batch, and how many entries each rests on."""
        own = x.ndim - 1 - self.trailing
        axes = [axis for axis in range(x.ndim) if axis != own]
        if not axes:
            raise ValueError("batch statistics need a batch axis in training mode; this input is one vector")
        variance, mean = torch.var_mean(x, axes, correction=0)
        return mean, variance, x.numel() // x.shape[own]

    def follow(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics by ``1 - momentum`` of the way to a batch's, in place."""
        self.running_mean.mul_(self.momentum).add_((1 - self.momentum) * mean.detach())
        self.running_var.mul_(self.momentum).add_((1 - self.momentum) * variance.detach())

    def standardised(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """``(x - mean) / sqrt(variance + epsilon)`` with moments ``[n]``."""
        return (x - self.along(mean)) * self.along((variance + self.epsilon).rsqrt())

    def transformed(self, y: Tensor) -> Tensor:
        """Apply gain and shift, if there are any."""
        if self.weight is None or self.bias is None:
            return y
        return y * self.along(self.weight) + self.along(self.bias)

    def along(self, value: Tensor) -> Tensor:
        """``[n]`` shaped to broadcast against the input."""
        return value.view(-1, *[1] * self.trailing)
