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
        images, padding = padded(one_batch(x), self.pads, -math.inf)
        return as_batched(functional.max_pool2d(images, self.kernel, self.stride, padding), x)


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
