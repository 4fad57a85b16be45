"""Sines and cosines as an activation, arXiv:2410.20634. Tests: tests/papers/test_plastic_activations.py."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SineCosine(nn.Module):
    """``(sin x, cos x)`` joined along ``axis``, which doubles. Source: arXiv:2410.20634."""

    def __init__(self, axis: int = -1) -> None:
        """``axis`` is counted from the last, whatever batch axes come first: -3 for the channels of an image."""
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """Sines first."""
        return torch.cat([x.sin(), x.cos()], self.axis)
