"""The soft mixture of experts as a module. Source: arXiv:2308.00951, section 2. Tests: tests/papers/test_experts.py."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.networks.modules.experts import Experts
from composer.networks.modules.projection import to_unit_norm


class SoftMoE(nn.Module):
    """Experts on weighted means of all tokens: ``[..., t, d] -> [..., t, d']``. Legend: n experts of p slots."""

    def __init__(self, experts: Experts, width: int, slots: int, normalised: bool = False) -> None:
        """``width`` is d, ``slots`` p; ``normalised`` bounds the logits by a learned scalar."""
        super().__init__()
        self.router = nn.Parameter(torch.zeros(width, len(experts), slots))
        self.scale = nn.Parameter(torch.ones(())) if normalised else None
        self.experts = experts

    def forward(self, x: Tensor) -> Tensor:
        """The output tokens."""
        logits = self._logits(x)
        dispatch, combine = logits.softmax(-2), logits.softmax(-1)
        mixed: Tensor = combine @ self.experts(dispatch.mT @ x)
        return mixed

    def _logits(self, x: Tensor) -> Tensor:
        # [..., t, n p]
        router = self.router.flatten(1)
        if self.scale is None:
            return x @ router
        return to_unit_norm(x, -1) @ (self.scale * to_unit_norm(router, 0))
