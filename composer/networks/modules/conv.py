"""Two-dimensional convolution with any number of batch axes. Tests: tests/papers/test_image_blocks.py."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from composer.networks.modules.windows import Pads, as_batched, one_batch, padded


class Convolution(nn.Conv2d):
    """Torch's convolution ``[..., c, h, w] -> [..., width, h', w']``, with any batch axes and unequal paddings."""

    def __init__(
        self,
        channels: int,
        width: int,
        kernel: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
        bias: bool = True,
        pads: Pads = (0, 0, 0, 0),
    ) -> None:
        """``pads`` are zeros added left, right, above and below."""
        super().__init__(channels, width, kernel, stride, dilation=dilation, groups=groups, bias=bias)
        self.pads = pads

    def forward(self, x: Tensor) -> Tensor:
        """The convolution with its own weight."""
        return self.with_weight(x, self.weight)

    def with_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        """The convolution with another ``weight``."""
        images, padding = padded(one_batch(x), self.pads)
        y = functional.conv2d(images, weight, self.bias, self.stride, padding, self.dilation, self.groups)
        return as_batched(y, x)
