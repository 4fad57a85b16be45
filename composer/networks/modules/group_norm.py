"""Group norm with any number of batch axes. Tests: tests/papers/test_group_norm.py."""

from __future__ import annotations

from torch import Tensor, nn


class GroupNorm(nn.GroupNorm):
    """Unit moments of each group of features of one sample; torch's takes exactly one batch axis."""

    def __init__(self, groups: int, features: int, trailing: int = 0, eps: float = 1e-6, affine: bool = True) -> None:
        """``trailing`` axes follow that of the features: 0 for vectors, 2 for images."""
        super().__init__(groups, features, eps, affine)
        self.trailing = trailing

    def forward(self, x: Tensor) -> Tensor:
        """The normalised input, of the same shape."""
        return super().forward(x.reshape(-1, *x.shape[-1 - self.trailing :])).view(x.shape)
