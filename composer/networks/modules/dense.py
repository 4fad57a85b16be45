"""The dense layer with a weight that is given.

Spec: composer/networks/blocks/reparameterised.py.
Tests: tests/papers/test_reparameterised.py.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Dense(nn.Linear):
    """``torch.nn.Linear`` that can also be called with another weight than its own."""

    def with_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        """``x weight^T + bias``: ``[..., in] -> [..., out]``."""
        return functional.linear(x, weight, self.bias)
