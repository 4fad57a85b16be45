"""The mixture of experts that sends each token to one, as a module. Source: arXiv:2101.03961.

Tests: tests/papers/test_experts.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.networks.modules.experts import Experts


class Top1MoE(nn.Module):
    """Each token through its preferred expert: ``[..., t, d] -> [..., t, d']``. Legend: n experts of p places."""

    def __init__(self, experts: Experts, width: int, capacity: int) -> None:
        """``width`` is d, ``capacity`` p."""
        super().__init__()
        self.capacity = capacity
        self.router = nn.Linear(width, len(experts), bias=False)
        self.experts = experts

    def forward(self, x: Tensor) -> Tensor:
        """The output tokens; zeros for those that found their expert full."""
        probability, chosen = self.router(x).softmax(-1).max(-1, keepdim=True)
        seat = self._seats(chosen).to(x.dtype)
        mixed: Tensor = probability * (seat @ self.experts(seat.mT @ x))
        return mixed

    def _seats(self, chosen: Tensor) -> Tensor:
        # [..., t, 1] -> [..., t, n p]: which place of which expert a token takes, if any; no size depends on a value.
        by_expert = chosen == torch.arange(len(self.experts), device=chosen.device)
        before = by_expert.cumsum(-2) - 1
        place = before.unsqueeze(-1) == torch.arange(self.capacity, device=chosen.device)
        return (by_expert.unsqueeze(-1) & place).flatten(-2)
