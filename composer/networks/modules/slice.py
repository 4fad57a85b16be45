"""Some of the entries of a vector. Tests: tests/papers/test_vector_blocks.py."""

from __future__ import annotations

from torch import Tensor, nn


class Slice(nn.Module):
    """``x[..., start : start + size]``."""

    def __init__(self, start: int, size: int) -> None:
        """The first entry, and how many."""
        super().__init__()
        self.start, self.size = start, size

    def forward(self, x: Tensor) -> Tensor:
        """``[..., n] -> [..., size]``."""
        return x.narrow(-1, self.start, self.size)
