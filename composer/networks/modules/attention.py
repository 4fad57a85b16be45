"""Multi-head self-attention as a module. Source: arXiv:1706.03762; nGPT, arXiv:2410.01131.

Tests: tests/papers/test_attention.py.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from composer.networks.modules.projection import to_unit_norm


class Attention(nn.Module):
    """Every token attends to all: ``[..., t, d] -> [..., t, d]``. Legend: h heads of width d_k."""

    def __init__(
        self,
        width: int,
        heads: int,
        head_width: int,
        qkv_bias: bool = True,
        bias: bool = True,
        probabilities: nn.Module | None = None,
        qk_scale: float | None = None,
    ) -> None:
        """``width`` is d; ``probabilities`` is applied to ``[..., h, t, t]``.

        ``qk_scale`` has queries and keys normalised and multiplied by a learned vector; its parameter starts there,
        the vector at 1.
        """
        super().__init__()
        inner = heads * head_width
        self.heads, self.head_width, self.qk_scale = heads, head_width, qk_scale
        self.qk_scaler = None if qk_scale is None else nn.Parameter(torch.full((inner,), qk_scale))
        self.query = nn.Linear(width, inner, qkv_bias)
        self.key = nn.Linear(width, inner, qkv_bias)
        self.value = nn.Linear(width, inner, qkv_bias)
        self.output = nn.Linear(inner, width, bias)
        self.probabilities = probabilities

    def forward(self, x: Tensor) -> Tensor:
        """The attended tokens."""
        query, key, value = (self._by_head(dense(x)) for dense in (self.query, self.key, self.value))
        scale = 1.0 / math.sqrt(self.head_width)
        if self.qk_scaler is not None and self.qk_scale is not None:
            factor = (self.qk_scaler / self.qk_scale).view(self.heads, 1, self.head_width)
            query, key = factor * to_unit_norm(query, -1), factor * to_unit_norm(key, -1)
            scale = math.sqrt(self.head_width)
        probabilities = (query @ key.mT * scale).softmax(-1)
        if self.probabilities is not None:
            probabilities = self.probabilities(probabilities)
        attended: Tensor = self.output((probabilities @ value).transpose(-3, -2).flatten(-2))
        return attended

    def _by_head(self, x: Tensor) -> Tensor:
        # [..., t, h d_k] -> [..., h, t, d_k]
        heads: Tensor = x.unflatten(-1, (self.heads, self.head_width)).transpose(-3, -2)
        return heads
