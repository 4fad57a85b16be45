"""To tokens ``[..., t, d]`` and from them to a vector.

Specs: composer/networks/blocks/class_token.py, patches.py, position_embedding.py, token_pooling.py, tokens.py.
Tests: tests/papers/test_tokens.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def cut(x: Tensor, patch: tuple[int, int]) -> Tensor:
    """Patches of images row by row: ``[..., c, h, w] -> [..., t, c * height * width]``, channel by channel in each."""
    (height, width), (rows, columns) = patch, x.shape[-2:]
    grid = x.unflatten(-1, (columns // width, width)).unflatten(-3, (rows // height, height))
    # [..., c, rows, height, columns, width] -> [..., rows, columns, c, height, width]
    tokens: Tensor = grid.movedim((-4, -2), (-5, -4)).flatten(-3).flatten(-3, -2)
    return tokens


class PatchTokens(nn.Module):
    """Patches of an image as they are: ``[..., c, h, w] -> [..., t, c * height * width]``."""

    def __init__(self, patch: tuple[int, int]) -> None:
        """``patch`` is (height, width), which divide the image's."""
        super().__init__()
        self.patch = patch

    def forward(self, x: Tensor) -> Tensor:
        """The tokens."""
        return cut(x, self.patch)


class PatchEmbedding(nn.Linear):
    """Patches of an image through one dense layer: ``[..., c, h, w] -> [..., t, tokens' width]``."""

    def __init__(self, channels: int, patch: tuple[int, int], width: int, bias: bool = True) -> None:
        """``patch`` is (height, width), which divide the image's; ``width`` is that of a token."""
        super().__init__(channels * patch[0] * patch[1], width, bias)
        self.patch = patch

    def forward(self, x: Tensor) -> Tensor:
        """The tokens."""
        return super().forward(cut(x, self.patch))


class PositionEmbedding(nn.Module):
    """A learned vector added to each token: ``[..., t, d] -> [..., t, d]``."""

    def __init__(self, count: int, width: int) -> None:
        """``count`` is t, ``width`` d."""
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(count, width))

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        return x + self.weight


class ClassToken(nn.Module):
    """A learned token before the others: ``[..., t, d] -> [..., t + 1, d]``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """All tokens."""
        return torch.cat([self.weight.expand(*x.shape[:-2], 1, -1), x], -2)


class SelectToken(nn.Module):
    """One token: ``[..., t, d] -> [..., d]``."""

    def __init__(self, index: int = 0) -> None:
        """``index`` is its place; negative ones count from the end."""
        super().__init__()
        self.index = index

    def forward(self, x: Tensor) -> Tensor:
        """The token."""
        return x.select(-2, self.index)


class MeanTokens(nn.Module):
    """The mean of the tokens: ``[..., t, d] -> [..., d]``."""

    def forward(self, x: Tensor) -> Tensor:
        """The mean."""
        return x.mean(-2)
