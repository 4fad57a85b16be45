"""What convolution and pooling share: batch axes made one, and padding that need not be the same on all sides.

Tests: tests/papers/test_image_blocks.py.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

Pads = tuple[int, int, int, int]
"""Entries added left, right, above and below."""


def one_batch(x: Tensor) -> Tensor:
    """``[..., c, h, w]`` as ``[b, c, h, w]``."""
    return x.reshape(-1, *x.shape[-3:])


def as_batched(y: Tensor, x: Tensor) -> Tensor:
    """``y [b, c, h, w]`` with the batch axes of ``x [..., c, h, w]``."""
    return y.reshape(*x.shape[:-3], *y.shape[-3:])


def padded(x: Tensor, pads: Pads, value: float = 0.0) -> tuple[Tensor, tuple[int, int]]:
    """The images, and what torch's own function is to add above and below, left and right.

    Equal sides are left to torch, which copies nothing; unequal ones are added here.
    """
    left, right, above, below = pads
    if left == right and above == below:
        return x, (above, left)
    return functional.pad(x, pads, value=value), (0, 0)
