"""Pooling over windows and over the whole image, with any number of batch axes.

Tests: tests/papers/test_image_blocks.py.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from composer.networks.modules.windows import Pads, as_batched, one_batch, padded


class MaxPool(nn.Module):
    """The largest entry of each window: ``[..., c, h, w] -> [..., c, h', w']``."""

    def __init__(self, kernel: tuple[int, int], stride: tuple[int, int], pads: Pads = (0, 0, 0, 0)) -> None:
        """``pads`` are entries left, right, above and below that are never the largest."""
        super().__init__()
        self.kernel, self.stride, self.pads = kernel, stride, pads

    def forward(self, x: Tensor) -> Tensor:
        """The pooled images."""
        images, (left, _, above, _) = one_batch(x), self.pads
        if self._is_rounded_up(*images.shape[-2:]):
            y = functional.max_pool2d(images, self.kernel, self.stride, (above, left), ceil_mode=True)
        else:
            images, padding = padded(images, self.pads, -math.inf)
            y = functional.max_pool2d(images, self.kernel, self.stride, padding)
        return as_batched(y, x)

    def _is_rounded_up(self, height: int, width: int) -> bool:
        """Whether torch's rounding up makes the same windows of the pads before alone, so that nothing is copied."""
        left, right, above, below = self.pads
        sides = (height, above, below), (width, left, right)
        for (size, before, after), kernel, stride in zip(sides, self.kernel, self.stride, strict=True):
            last = -((kernel - size - 2 * before) // stride)
            last -= last * stride >= size + before
            if last != (size + before + after - kernel) // stride or 2 * before > kernel:
                return False
        return True


class AveragePool(nn.Module):
    """The mean of each window, padding not counted: ``[..., c, h, w] -> [..., c, h', w']``."""

    def __init__(self, kernel: tuple[int, int], stride: tuple[int, int], pads: Pads = (0, 0, 0, 0)) -> None:
        """``pads`` are entries left, right, above and below that are not counted."""
        super().__init__()
        self.kernel, self.stride, self.pads = kernel, stride, pads

    def forward(self, x: Tensor) -> Tensor:
        """The pooled images."""
        images = one_batch(x)
        pooled = self._with_padding(images)
        if any(self.pads):
            pooled = pooled / self._with_padding(torch.ones_like(images[:1, :1]))
        return as_batched(pooled, x)

    def _with_padding(self, images: Tensor) -> Tensor:
        images, padding = padded(images, self.pads)
        return functional.avg_pool2d(images, self.kernel, self.stride, padding)


class GlobalAveragePool(nn.Module):
    """The mean of each channel: ``[..., c, h, w] -> [..., c]``."""

    def forward(self, x: Tensor) -> Tensor:
        """The means."""
        return x.mean((-2, -1))
