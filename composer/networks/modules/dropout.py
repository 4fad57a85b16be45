"""Dropout whose noise is a function of a key and a counter. Tests: tests/papers/test_dropout.py."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.networks.modules.noise import uniform


class Dropout(nn.Module):
    """Zeroes entries with probability ``rate`` and divides the others by ``1 - rate`` in training mode; any shape.

    ``torch.nn.Dropout`` draws from torch's global stream, which members of a stack would share.
    """

    key: Tensor
    draws: Tensor

    def __init__(self, rate: float) -> None:
        """``rate`` is in [0, 1)."""
        super().__init__()
        self.rate = rate
        self.register_buffer("key", torch.zeros((), dtype=torch.int64))
        self.register_buffer("draws", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """The very input in evaluation mode; in training mode ``draws`` counts one up."""
        if not self.training:
            return x
        kept = uniform(self.key, self.draws, tuple(x.shape)) >= self.rate
        self.draws.add_(1)
        return x * kept / (1.0 - self.rate)
