"""A vector as an image and constant planes. Tests: tests/papers/test_image_blocks.py."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Planes(nn.Module):
    """``[..., c h w + k] -> [..., c + k, h, w]``: the last k entries each fill a plane of their own."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        """The size of the image that the vector begins with."""
        super().__init__()
        self.image = (channels, height, width)

    def forward(self, x: Tensor) -> Tensor:
        """Image and planes."""
        channels, height, width = self.image
        size = channels * height * width
        image = x[..., :size].unflatten(-1, self.image)
        planes = x[..., size:, None, None].expand(*x.shape[:-1], x.shape[-1] - size, height, width)
        return torch.cat([image, planes], -3)
