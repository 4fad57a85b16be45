"""A vector as an image and constant planes.

Tests: tests/networks/test_blocks.py, tests/papers/test_image_blocks.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from composer.networks.blocks.base import Block
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError

Side = Annotated[int, Field(ge=1, le=4096)]


class Planes(Block, kind="planes"):
    """A flattened image and k more numbers, as an image of k more channels: ``[c h w + k] -> [c + k, h, w]``.

    Each of the k numbers fills a plane: how a convolution reads an action beside a latent image. No operations.
    Source: Schwarzer et al., arXiv:2007.05929 (SPR's transition model), after MuZero, arXiv:1911.08265.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "planes", "channels": 2, "height": 2, "width": 3}
    example_input: ClassVar[Shape] = (16,)

    channels: Side
    """Channels of the image, c."""
    height: Side
    """Its height, h."""
    width: Side
    """Its width, w."""

    def outline(self, shape: Shape) -> Outline:
        """No parameters; raises ``ShapeError`` unless the input is a vector no shorter than the image."""
        size = math.prod((self.channels, self.height, self.width))
        if len(shape) != 1 or shape[0] < size:
            raise ShapeError(
                f"{self.kind!r} takes a vector of {size:,} entries or more "
                f"({self.channels} x {self.height} x {self.width}); its input has shape {list(shape)}"
            )
        return Outline(self.kind, shape, (self.channels + shape[0] - size, self.height, self.width))

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.planes.Planes``."""
        self.outline(shape)
        return call("composer.networks.modules.planes:Planes", self.channels, self.height, self.width)
