"""A fixed change of units. Tests: tests/papers/test_image_blocks.py."""

from __future__ import annotations

from torch import Tensor, nn


class Scale(nn.Module):
    """``factor * x + shift``, any shape; integers become torch's default floating-point type."""

    def __init__(self, factor: float, shift: float = 0.0) -> None:
        super().__init__()
        self.factor, self.shift = factor, shift

    def forward(self, x: Tensor) -> Tensor:
        """The scaled entries."""
        return x * self.factor + self.shift
