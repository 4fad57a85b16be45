"""Division by the mean magnitude of features as a module. Tests: tests/papers/test_vector_blocks.py."""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn

SMALLEST: Final = 1e-8
"""Mean magnitudes below it are not divided by."""


class AvgL1Norm(nn.Module):
    """``x / max(mean |x|, 1e-8)`` over the last axis: ``[..., n] -> [..., n]``."""

    def forward(self, x: Tensor) -> Tensor:
        """Vectors of mean magnitude 1; zeros stay zeros."""
        scaled: Tensor = x / x.abs().mean(-1, keepdim=True).clamp_min(SMALLEST)
        return scaled
