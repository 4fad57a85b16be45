"""A learned factor for each feature as a module. Tests: tests/papers/test_vector_blocks.py."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Scaler(nn.Module):
    """``y = (init / scale) s x`` with a learned vector ``s``: ``[..., n] -> [..., n]``."""

    def __init__(self, features: int, init: float = 1.0, scale: float = 1.0) -> None:
        """``s`` [features] starts at ``scale``, the factor at ``init``."""
        super().__init__()
        self.scaler = nn.Parameter(torch.full((features,), scale))
        self.ratio = init / scale

    def forward(self, x: Tensor) -> Tensor:
        """The scaled entries."""
        return x * (self.scaler * self.ratio)
