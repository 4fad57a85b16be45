"""Larger images, with any number of batch axes. Tests: tests/papers/test_image_blocks.py."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from composer.networks.modules.windows import as_batched, one_batch


class Upsample(nn.Module):
    """Each pixel ``factor`` times down and right: ``[..., c, h, w] -> [..., c, h', w']``."""

    def __init__(self, factor: tuple[int, int]) -> None:
        """Of height and width."""
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """The larger images."""
        down, right = self.factor
        size = (down * x.shape[-2], right * x.shape[-1])
        return as_batched(functional.interpolate(one_batch(x), size, mode="nearest"), x)
