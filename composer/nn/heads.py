"""Heads as modules. ``[...]`` are batch axes, ``n`` the features, ``a`` the action size.

Tests: tests/contracts/test_heads.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ScalarHead(nn.Module):
    """A linear map to one number: ``[..., n] -> [...]``."""

    def __init__(self, features: int) -> None:
        """``features`` is n."""
        super().__init__()
        self.linear = nn.Linear(features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Values [...]."""
        value: Tensor = self.linear(x)
        return value.squeeze(-1)


class TanhGaussianHead(nn.Module):
    """Mean and bounded log standard deviation of a Gaussian before its tanh: ``[..., n] -> ([..., a], [..., a])``."""

    def __init__(self, features: int, actions: int, log_std_min: float, log_std_max: float) -> None:
        """``log_std_min < log_std_max`` bound the second output (natural logarithm)."""
        super().__init__()
        self.mean = nn.Linear(features, actions)
        self.log_std = nn.Linear(features, actions)
        self.log_std_min = log_std_min
        self.half_range = (log_std_max - log_std_min) / 2

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, log_std); the bound is smooth, so that gradients survive at it."""
        log_std = self.log_std_min + self.half_range * (1 + torch.tanh(self.log_std(x)))
        return self.mean(x), log_std


class DeterministicTanhHead(nn.Module):
    """A linear map squashed into the action box: ``[..., n] -> [..., a]`` in [-1, 1]."""

    def __init__(self, features: int, actions: int) -> None:
        """``features`` is n, ``actions`` a."""
        super().__init__()
        self.linear = nn.Linear(features, actions)

    def forward(self, x: Tensor) -> Tensor:
        """Actions [..., a]."""
        return torch.tanh(self.linear(x))
