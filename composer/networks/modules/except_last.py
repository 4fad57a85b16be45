"""A module on the first entries of a vector. Tests: tests/papers/test_vector_blocks.py."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ExceptLast(nn.Module):
    """``[block(x[..., :-size]), x[..., -size:]]``."""

    def __init__(self, block: nn.Module, size: int) -> None:
        """``size`` entries pass."""
        super().__init__()
        self.block, self.size = block, size

    def forward(self, x: Tensor) -> Tensor:
        """``[..., n] -> [..., m + size]``."""
        return torch.cat([self.block(x[..., : -self.size]), x[..., -self.size :]], -1)
