"""Softmax over groups of features as a module. Tests: tests/papers/test_vector_blocks.py."""

from __future__ import annotations

from torch import Tensor, nn


class SimNorm(nn.Module):
    """A softmax inside each ``group`` of consecutive entries of the last axis: ``[..., n] -> [..., n]``."""

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """Groups that sum to 1."""
        shares: Tensor = x.unflatten(-1, (-1, self.group)).softmax(-1).flatten(-2)
        return shares
