"""The plug-in's modules: plain torch, of plain values and other modules."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Periodic(nn.Module):
    """``(x, sin(W x))``: ``[..., n] -> [..., n + waves]``."""

    def __init__(self, features: int, waves: int) -> None:
        """``W`` [waves, features] is for the caller to draw."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(waves, features))

    def forward(self, x: Tensor) -> Tensor:
        """The input first."""
        return torch.cat([x, functional.linear(x, self.weight).sin()], -1)


class NtkLinear(nn.Linear):
    """``y = W x / sqrt(in) + b``."""

    def forward(self, x: Tensor) -> Tensor:
        """``[..., in] -> [..., out]``."""
        return functional.linear(x, self.weight / self.in_features**0.5, self.bias)


class AbsoluteNorm(nn.Module):
    """``gain x / (mean |x| + 1e-6)`` over the last axis."""

    def __init__(self, features: int) -> None:
        """``gain`` [features] is for the caller to draw."""
        super().__init__()
        self.gain = nn.Parameter(torch.empty(features))

    def forward(self, x: Tensor) -> Tensor:
        """``[..., n] -> [..., n]``."""
        return self.gain * x / (x.abs().mean(-1, keepdim=True) + 1e-6)


class SoftsignHead(nn.Module):
    """``[..., n] -> ([..., a], [..., a])``: a bounded mean and a log standard deviation in [-10, 2]."""

    def __init__(self, mean: nn.Module, log_std: nn.Module, reach: float) -> None:
        """``reach`` bounds the mean."""
        super().__init__()
        self.mean = mean
        self.log_std = log_std
        self.reach = reach

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, log_std)."""
        return self.reach * functional.softsign(self.mean(x)), 6 * torch.tanh(self.log_std(x)) - 4
