"""Larger images. Tests: tests/networks/test_blocks.py, tests/papers/test_image_blocks.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Block
from composer.networks.blocks.windows import Pair, image, pair
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class Upsample(Block, kind="upsample"):
    """Each pixel ``factor`` times down and right: ``[c, h, w] -> [c, factor h, factor w]``, nearest neighbours.

    Before a convolution it does what a transposed convolution does, without the pattern that strides leave in the
    picture (Odena et al., Distill 2016). It computes nothing.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "upsample", "factor": 2}
    example_input: ClassVar[Shape] = (4, 3, 3)
    units = "keeps"

    factor: Pair = 2
    """Pixels of the output for one of the input, ``[height, width]`` or one for both."""

    def outline(self, shape: Shape) -> Outline:
        """No parameters."""
        channels, height, width = image(shape, self.kind)
        down, right = pair(self.factor)
        return Outline(self.kind, shape, (channels, down * height, right * width))

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.upsample.Upsample``."""
        self.outline(shape)
        return call("composer.networks.modules.upsample:Upsample", pair(self.factor))
