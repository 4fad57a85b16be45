"""Weight norm. Source: Salimans and Kingma, arXiv:1602.07868.

Spec: composer/networks/blocks/reparameterised.py.
Tests: tests/papers/test_reparameterised.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.networks.modules.conv import Convolution
from composer.networks.modules.dense import Dense
from composer.networks.modules.projection import to_unit_norm


class WeightNorm(nn.Module):
    """A layer whose weight is ``gain * v / |v|``, one gain and one norm per output unit; ``v`` is the layer's own."""

    def __init__(self, block: Dense | Convolution) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(block.weight.shape[0]))
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output. Eq. 2."""
        v = self.block.weight
        direction = to_unit_norm(v.flatten(1), 1)
        return self.block.with_weight(x, (self.gain[:, None] * direction).view(v.shape))
