"""Concatenated rectification as a module. Tests: tests/papers/test_vector_blocks.py."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class CReLU(nn.Module):
    """``(max(x, 0), max(-x, 0))`` joined along ``axis``, which doubles. Source: arXiv:1603.05201."""

    def __init__(self, axis: int = -1) -> None:
        """``axis`` is counted from the last, whatever batch axes come first: -3 for the channels of an image."""
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """Positive parts first."""
        return torch.cat([functional.relu(x), functional.relu(-x)], self.axis)
