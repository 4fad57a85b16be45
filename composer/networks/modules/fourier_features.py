"""Sinusoids of random directions as a module. Tests: tests/papers/test_vector_blocks.py."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class FourierFeatures(nn.Module):
    """``(cos 2 pi B x, sin 2 pi B x)``: ``[..., n] -> [..., 2 m]``. Source: arXiv:2006.10739."""

    def __init__(self, features: int, frequencies: int, trainable: bool = False) -> None:
        """``features`` is n, ``frequencies`` m; B [m, n] is for the caller to draw."""
        super().__init__()
        self.frequencies = nn.Parameter(torch.empty(frequencies, features), requires_grad=trainable)

    def forward(self, x: Tensor) -> Tensor:
        """Cosines first."""
        angle = 2.0 * math.pi * functional.linear(x, self.frequencies)
        return torch.cat([angle.cos(), angle.sin()], -1)
