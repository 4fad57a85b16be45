"""Values brought into [0, 1], sample by sample. Tests: tests/papers/test_image_blocks.py."""

from __future__ import annotations

from torch import Tensor, nn


class MinMax(nn.Module):
    """``(x - min) / (max - min + epsilon)`` over all entries of a sample, which has ``axes`` axes."""

    def __init__(self, axes: int, epsilon: float) -> None:
        """``axes`` is 1 for a vector, 3 for an image."""
        super().__init__()
        self.axes = axes
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        flat = x.flatten(-self.axes)
        low, high = flat.amin(-1, keepdim=True), flat.amax(-1, keepdim=True)
        scaled: Tensor = (flat - low) / (high - low + self.epsilon)
        return scaled.view(x.shape)
