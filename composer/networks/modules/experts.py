"""Modules side by side, each on a share of the input. Tests: tests/papers/test_experts.py."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Experts(nn.ModuleList):
    """Each of n experts on its own p slots: ``[..., n p, d] -> [..., n p, d']``, the first p to the first."""

    def forward(self, slots: Tensor) -> Tensor:
        """The experts' outputs in the order of their slots."""
        shares = slots.unflatten(-2, (len(self), -1)).unbind(-3)
        return torch.cat([expert(share) for expert, share in zip(self, shares, strict=True)], -2)
