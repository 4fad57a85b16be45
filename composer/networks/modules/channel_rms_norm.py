"""RMS norm over the channels of each place; its spec is in ``blocks/normalization.py``.

Tests: tests/papers/test_block_formulas.py.
"""

from __future__ import annotations

from torch import Tensor, nn


class ChannelRMSNorm(nn.RMSNorm):
    """Unit mean square over the channels of each place; any number of batch axes."""

    def __init__(self, features: int, trailing: int = 0, eps: float = 1e-6, elementwise_affine: bool = True) -> None:
        """``trailing`` axes follow that of the features: 0 for vectors, 2 for images."""
        super().__init__(features, eps, elementwise_affine)
        self.trailing = trailing

    def forward(self, x: Tensor) -> Tensor:
        """The normalised input, of the same shape."""
        axis = -1 - self.trailing
        return super().forward(x.movedim(axis, -1)).movedim(-1, axis)
