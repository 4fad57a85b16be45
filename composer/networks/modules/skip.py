"""Residual connections as modules.

Specs: composer/networks/blocks/lerp_residual.py, residual.py.
Tests: tests/networks/test_blocks.py, tests/papers/test_simba_network.py, tests/papers/test_vector_blocks.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Skip(nn.Module):
    """``y = x + block(x)``: any shape that ``block`` keeps."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """The sum, of the input's shape."""
        y: Tensor = x + self.block(x)
        return y


class LerpSkip(nn.Module):
    """``y = x + a (block(x) - x)`` with ``a = (init / scale) alpha``, a learned vector over the last axis.

    Source: nGPT, arXiv:2410.01131; SimbaV2, arXiv:2502.15280.
    """

    def __init__(
        self, block: nn.Module, features: int, init: float, scale: float = 1.0, magnitude: bool = False
    ) -> None:
        """``alpha`` [features] starts at ``scale``, ``a`` at ``init``; ``magnitude`` takes ``|a|`` for ``a``."""
        super().__init__()
        self.alpha = nn.Parameter(torch.full((features,), scale))
        self.block = block
        self.ratio, self.magnitude = init / scale, magnitude

    def forward(self, x: Tensor) -> Tensor:
        """The interpolation, of the input's shape."""
        part = self.alpha * self.ratio
        y: Tensor = x + (part.abs() if self.magnitude else part) * (self.block(x) - x)
        return y
