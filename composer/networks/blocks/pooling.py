"""Pooling of images. Tests: tests/networks/test_blocks.py, tests/papers/test_image_blocks.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.networks.blocks.base import Block
from composer.networks.blocks.windows import Padding, Pair, Windows, image, pair, windows
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class _Pool(Block, abstract=True):
    """Pooling over windows."""

    example_input = (4, 12, 12)
    units = "keeps"

    kernel: Pair
    """Size of the window, ``[height, width]`` or one for both."""
    stride: Pair | None = None
    """Entries between windows; absent, the kernel's size: windows side by side."""
    padding: Padding = "valid"
    """Around the image: entries on each side, "valid" for none, "same" for as many outputs as strides."""

    @model_validator(mode="after")
    def _every_window_sees_the_image(self) -> Self:
        smallest = min(pair(self.kernel))
        if isinstance(self.padding, int) and 2 * self.padding > smallest:
            raise PydanticCustomError(
                "pool_padding",
                "'padding' ({padding}) is more than half of 'kernel' ({kernel}): a window could see padding alone",
                {"padding": self.padding, "kernel": smallest},
            )
        return self

    @override
    def outline(self, shape: Shape) -> Outline:
        output = (shape[0], *self._windows(shape).output)
        return Outline(self.kind, shape, output, flops=math.prod(output) * math.prod(pair(self.kernel)))

    @override
    def module(self, shape: Shape) -> LazyCall:
        pads = self._windows(shape).pads
        given = {"pads": pads} if any(pads) else {}
        target = f"composer.networks.modules.pooling:{type(self).__name__}"
        return call(target, pair(self.kernel), self._stride, **given)

    def _windows(self, shape: Shape) -> Windows:
        _, height, width = image(shape, self.kind)
        return windows((height, width), pair(self.kernel), self._stride, self.padding)

    @property
    def _stride(self) -> tuple[int, int]:
        return pair(self.kernel if self.stride is None else self.stride)


class MaxPool(_Pool, kind="max_pool"):
    """The largest entry of each window: ``[c, h, w] -> [c, h', w']``; padding is never the largest.

    One operation per entry of a window. Sizes follow the rules of ``conv``.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "max_pool", "kernel": 3, "stride": 2, "padding": "same"}


class AveragePool(_Pool, kind="average_pool"):
    """The mean of each window: ``[c, h, w] -> [c, h', w']``; padding is not counted, where torch's default counts it.

    One operation per entry of a window. Sizes follow the rules of ``conv``.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "average_pool", "kernel": 2}


class GlobalAveragePool(Block, kind="global_average_pool"):
    """The mean of each channel over the whole image: ``[c, h, w] -> [c]``.

    One operation per entry. Source: Lin et al., arXiv:1312.4400.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "global_average_pool"}
    example_input: ClassVar[Shape] = (4, 12, 12)
    units = "keeps"

    def outline(self, shape: Shape) -> Outline:
        """No parameters."""
        channels, *_ = image(shape, self.kind)
        return Outline(self.kind, shape, (channels,), flops=math.prod(shape))

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.pooling.GlobalAveragePool``."""
        image(shape, self.kind)
        return call("composer.networks.modules.pooling:GlobalAveragePool")
