"""Spectral norm. Source: Miyato et al., arXiv:1802.05957.

Spec: composer/networks/blocks/reparameterised.py.
Tests: tests/papers/test_reparameterised.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from composer.networks.modules.conv import Convolution
from composer.networks.modules.dense import Dense
from composer.networks.modules.projection import SMALLEST


class SpectralNorm(nn.Module):
    """A layer whose weight, as a matrix with a row per output unit, is divided by its largest singular value."""

    left: Tensor

    def __init__(self, block: Dense | Convolution, iterations: int = 1) -> None:
        """``iterations`` of the power method a pass, from where the last training pass ended."""
        super().__init__()
        self.iterations = iterations
        self.block = block
        self.register_buffer("left", torch.ones(block.weight.shape[0]))

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output; in training mode the estimate of the left singular vector is kept."""
        weight = self.block.weight
        left, right = self._singular_vectors(weight.detach().flatten(1))
        if self.training:
            # A weight of zeros has no direction; the one kept must not become zero, from which no step leads away.
            self.left.copy_(torch.where(left.any(), left, self.left))
        # Algorithm 1: the vectors are constants, so that the gradient passes through the weight alone.
        largest = left @ (weight.flatten(1) @ right)
        return self.block.with_weight(x, weight / largest.clamp_min(SMALLEST))

    def _singular_vectors(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        # Only the direction of the vector kept matters: an average of networks keeps one that is shorter than 1.
        left, right = self.left, matrix[0]
        for _ in range(self.iterations):
            right = functional.normalize(left @ matrix, dim=0, eps=SMALLEST)
            left = functional.normalize(matrix @ right, dim=0, eps=SMALLEST)
        return left, right
