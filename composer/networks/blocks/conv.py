"""Two-dimensional convolution. Tests: tests/networks/test_blocks.py, tests/papers/test_image_blocks.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from composer.networks.blocks.base import MAX_WIDTH
from composer.networks.blocks.weighted import Weighted
from composer.networks.blocks.windows import Padding, Pair, Windows, image, pair, windows
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError
from composer.spec.wording import describe, near

DEPTHWISE = "depthwise"


def _group_count(value: object) -> int | str:
    if value == DEPTHWISE:
        return DEPTHWISE
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_WIDTH:
        return value
    meant = near(value, [DEPTHWISE]) if isinstance(value, str) else None
    raise PydanticCustomError(
        "conv_groups",
        "expected an integer from 1 to {limit} or 'depthwise', got {got}{hint}",
        {"limit": MAX_WIDTH, "got": describe(value), "hint": f"; did you mean {meant!r}?" if meant else ""},
    )


_GROUPS_SCHEMA: dict[str, Any] = {
    "anyOf": [{"enum": [DEPTHWISE]}, {"type": "integer", "minimum": 1, "maximum": MAX_WIDTH}],
}
Groups = Annotated[int | Literal["depthwise"], PlainValidator(_group_count), WithJsonSchema(_GROUPS_SCHEMA)]


class Conv(Weighted, kind="conv"):
    """Convolution of an image: ``[c, h, w] -> [width, h', w']``.

    The weight, [width, c / groups, kernel height, kernel width], is not flipped. Exactly one of ``width`` (output
    channels) and ``expansion`` (of the input's) is given.
    ``padding = "same"`` gives ``ceil(h / stride)`` rows, an odd entry of padding going below and to the right as in
    JAX and TensorFlow; torch's networks of stride 2 pad 1 on all sides instead, which is ``padding = 1``.
    The weight's fans are torch's: ``fan_in`` counts the inputs of one group, ``fan_out`` all outputs, times the
    kernel. Operations: two per weight and place, one per bias and place.
    Source: LeCun et al., Proc. IEEE 86(11), 1998; depthwise: Howard et al., arXiv:1704.04861.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "conv", "width": 32, "kernel": 3, "stride": 2, "padding": "same"}
    example_input: ClassVar[Shape] = (4, 12, 12)
    axis = -3

    kernel: Pair
    """Size of the kernel, ``[height, width]`` or one for both."""
    stride: Pair = 1
    """Entries between places of the kernel."""
    padding: Padding = "valid"
    """Zeros around the image: entries on each side, "valid" for none, "same" for as many outputs as strides."""
    dilation: Pair = 1
    """Entries of the image between entries of the kernel; 1 leaves no gap."""
    groups: Groups = 1
    """Independent groups of channels; "depthwise" is one per input channel."""

    def outline(self, shape: Shape) -> Outline:
        """Parameters ``weight`` [width, c / groups, kernel height, kernel width] and ``bias`` [width]."""
        channels, *_ = image(shape, self.kind)
        groups, width = self._groups(channels), self.size(channels)
        if width % groups:
            raise ShapeError(f"{width} output channels do not divide into {groups} groups", ("groups",))
        kernel = pair(self.kernel)
        inputs, area = channels // groups, math.prod(kernel)
        fans = inputs * area, width * area
        parameters = self.plans((width, inputs, *kernel), *fans)
        output = (width, *self._windows(shape).output)
        flops = math.prod(output) * (2 * fans[0] + self.bias)
        return Outline(self.kind, shape, output, parameters, flops=flops)

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.conv.Convolution``."""
        width = self.outline(shape).output[0]
        options: dict[str, Any] = {
            "stride": pair(self.stride),
            "dilation": pair(self.dilation),
            "groups": self._groups(shape[0]),
        }
        given = {name: value for name, value in options.items() if value not in (1, (1, 1))}
        pads = self._windows(shape).pads
        if any(pads):
            given["pads"] = pads
        return call(
            "composer.networks.modules.conv:Convolution", shape[0], width, pair(self.kernel), bias=self.bias, **given
        )

    def _windows(self, shape: Shape) -> Windows:
        size = shape[1], shape[2]
        return windows(size, pair(self.kernel), pair(self.stride), self.padding, pair(self.dilation))

    def _groups(self, channels: int) -> int:
        groups = channels if self.groups == DEPTHWISE else self.groups
        assert isinstance(groups, int)
        if channels % groups:
            raise ShapeError(f"{channels} input channels do not divide into {groups} groups", ("groups",))
        return groups
