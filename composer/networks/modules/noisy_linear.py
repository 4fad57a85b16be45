"""The dense layer with learned noise. Tests: tests/papers/test_noisy_linear.py."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from composer.networks.modules.noise import normal


class NoisyLinear(nn.Linear):
    """``(W + S_w * e_w) x + b + s_b * e_b``, the noise e factorised and in training mode only.

    ``[..., in] -> [..., out]``. One draw a forward pass, the same for every sample of it.
    Source: Fortunato et al., arXiv:1706.10295, Eq. 8 to 11.
    """

    key: Tensor
    draws: Tensor

    def __init__(self, width_in: int, width_out: int) -> None:
        """Weights and biases, and the scales of the noise of both."""
        super().__init__(width_in, width_out)
        self.weight_sigma = nn.Parameter(torch.zeros(width_out, width_in))
        self.bias_sigma = nn.Parameter(torch.zeros(width_out))
        self.register_buffer("key", torch.zeros((), dtype=torch.int64))
        self.register_buffer("draws", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """The layer without noise in evaluation mode; in training mode ``draws`` counts one up."""
        if not self.training:
            return functional.linear(x, self.weight, self.bias)
        drawn = normal(self.key, self.draws, (self.in_features + self.out_features,)).to(x.dtype)
        self.draws.add_(1)
        shaped = drawn.sign() * drawn.abs().sqrt()
        entering, leaving = shaped[: self.in_features], shaped[self.in_features :]
        weight = self.weight + self.weight_sigma * (leaving[:, None] * entering)
        return functional.linear(x, weight, self.bias + self.bias_sigma * leaving)
