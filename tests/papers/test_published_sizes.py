"""Convolutional trunks of the registry: their sizes by formula, layer by layer, and their functions in plain torch.

The formulas know nothing of outlines. Totals that are commonly quoted: 1,684,128 for DQN's trunk (with 6 actions,
1,687,206 in all), 11,173,962 for the CIFAR ResNet-18, 14,723,136 for VGG-16's batch-normalised convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from fresh_blocks import fresh, part
from torch import Tensor
from torch.nn import functional

from composer.spec.shape import Shape


def conv(inputs: int, outputs: int, kernel: int, bias: bool = True) -> int:
    return outputs * inputs * kernel**2 + bias * outputs


def dense(inputs: int, outputs: int) -> int:
    return outputs * inputs + outputs


def nature_cnn() -> int:
    # 84 -> 20 -> 9 -> 7
    return conv(4, 32, 8) + conv(32, 64, 4) + conv(64, 64, 3) + dense(64 * 7 * 7, 512)


def nature_convolutions() -> int:
    return nature_cnn() - dense(64 * 7 * 7, 512)


def data_efficient_convolutions() -> int:
    # 84 -> 16 -> 3
    return conv(4, 32, 5) + conv(32, 64, 5)


def drq_convolutions() -> int:
    # 84 -> 41 -> 39 -> 37 -> 35
    return conv(9, 32, 3) + 3 * conv(32, 32, 3)


def impala(channels: int, side: int, multiple: int = 1) -> int:
    total = 0
    for width in (16 * multiple, 32 * multiple, 32 * multiple):
        total += conv(channels, width, 3) + 4 * conv(width, width, 3)
        channels, side = width, (side + 1) // 2
    return total + dense(channels * side**2, 256)


def resnet18() -> int:
    total = conv(3, 64, 3, bias=False) + 2 * 64
    for inputs, outputs in ((64, 64), (64, 128), (128, 256), (256, 512)):
        first = conv(inputs, outputs, 3, bias=False) + conv(outputs, outputs, 3, bias=False)
        shortcut = 0 if inputs == outputs else conv(inputs, outputs, 1, bias=False) + 2 * outputs
        second = 2 * conv(outputs, outputs, 3, bias=False)
        total += first + shortcut + second + 4 * 2 * outputs
    return total


def vgg16_bn() -> int:
    total, inputs = 0, 3
    for outputs, times in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(times):
            total += conv(inputs, outputs, 3) + 2 * outputs
            inputs = outputs
    return total


def hadamax() -> int:
    # 84 -> 21 -> 11 -> 11; layer norms over channels, and over the 512 features
    total, inputs = dense(64 * 11 * 11, 512) + 2 * 512, 4
    for width, kernel in ((32, 8), (64, 4), (64, 3)):
        total, inputs = total + 2 * (conv(inputs, width, kernel) + 2 * width), width
    return total


def test_formulas_give_the_numbers_that_are_quoted() -> None:
    assert nature_cnn() == 1_684_128 and nature_cnn() + dense(512, 6) == 1_687_206
    assert nature_convolutions() == 77_984 and data_efficient_convolutions() == 54_496
    assert impala(4, 84) == 1_089_232 and drq_convolutions() == 30_368
    assert resnet18() == 11_168_832 and resnet18() + dense(512, 10) == 11_173_962
    assert vgg16_bn() == 14_723_136


@pytest.mark.parametrize(
    ("name", "parameters", "shape", "output", "size"),
    [
        ("nature_cnn", {}, (4, 84, 84), (512,), nature_cnn()),
        ("nature_convolutions", {}, (4, 84, 84), (3136,), nature_convolutions()),
        ("data_efficient_convolutions", {}, (4, 84, 84), (576,), data_efficient_convolutions()),
        ("minatar_convolution", {}, (4, 10, 10), (16, 8, 8), conv(4, 16, 3)),
        ("minatar_cnn", {}, (4, 10, 10), (128,), conv(4, 16, 3) + dense(16 * 8 * 8, 128)),
        ("drq_convolutions", {}, (9, 84, 84), (39_200,), drq_convolutions()),
        ("hadamax", {}, (4, 84, 84), (512,), hadamax()),
        ("impala", {}, (4, 84, 84), (256,), impala(4, 84)),
        ("impala", {"width": 64}, (4, 84, 84), (256,), impala(4, 84, multiple=4)),
        ("impala", {}, (3, 72, 72), (256,), impala(3, 72)),
        ("resnet18", {}, (3, 32, 32), (512,), resnet18()),
        ("vgg16_bn", {"depth": 0}, (3, 32, 32), (512,), vgg16_bn()),
        ("vgg16_bn", {}, (3, 64, 64), (1024,), vgg16_bn() + dense(512 * 2 * 2, 1024) + dense(1024, 1024)),
    ],
)
def test_parts_have_the_derived_sizes(
    name: str, parameters: dict[str, int], shape: Shape, output: Shape, size: int
) -> None:
    block = part(name, **parameters)
    assert block.outline(shape).count() == size
    with torch.device("meta"):
        module = block.build(shape)
        assert tuple(module(torch.empty(2, *shape)).shape) == (2, *output)
    assert sum(value.numel() for value in module.parameters()) == size


class Weights:
    """Hands a module's parameters out in order: what a network written by hand reads."""

    def __init__(self, values: Iterator[Tensor]) -> None:
        self._values = values

    def __next__(self) -> Tensor:
        return next(self._values)

    def conv(self, x: Tensor, stride: int = 1, padding: int = 1, bias: bool = True) -> Tensor:
        weight = next(self._values)
        return functional.conv2d(x, weight, next(self._values) if bias else None, stride, padding)

    def dense(self, x: Tensor) -> Tensor:
        return functional.linear(x, next(self._values), next(self._values))

    def batch_norm(self, x: Tensor) -> Tensor:
        return functional.batch_norm(x, None, None, next(self._values), next(self._values), training=True)

    def conv_norm(self, x: Tensor, stride: int = 1, padding: int = 1, bias: bool = False) -> Tensor:
        return self.batch_norm(self.conv(x, stride, padding, bias))


def nature_by_hand(x: Tensor, w: Weights) -> Tensor:
    x = x / 255
    for stride in (4, 2, 1):
        x = w.conv(x, stride, padding=0).relu()
    return w.dense(x.flatten(1)).relu()


def impala_by_hand(x: Tensor, w: Weights) -> Tensor:
    x = x / 255
    for _ in range(3):
        x = w.conv(x)
        # The size is even at each of the three: what is missing is a row below and a column to the right.
        x = functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2)
        for _ in range(2):
            x = x + w.conv(w.conv(x.relu()).relu())
    return w.dense(x.relu().flatten(1)).relu()


def hadamax_by_hand(x: Tensor, w: Weights) -> Tensor:
    def factor(x: Tensor, kernel: int) -> Tensor:
        before = (kernel - 1) // 2  # JAX's SAME: the odd entry goes below and to the right.
        x = w.conv(functional.pad(x, (before, kernel - 1 - before) * 2), padding=0).movedim(1, -1)
        gain, shift = next(w), next(w)
        return functional.gelu(functional.layer_norm(x, x.shape[-1:], gain, shift, 1e-6)).movedim(-1, 1)

    x = x / 255
    for kernel, pool, stride, pads in ((8, 4, 4, 0), (4, 2, 2, 0), (3, 3, 1, 1)):
        first = factor(x, kernel)
        x = functional.max_pool2d(first * factor(x, kernel), pool, stride, pads)
    x = w.dense(x.flatten(1))
    return functional.gelu(functional.layer_norm(x, x.shape[-1:], next(w), next(w), 1e-6))


def resnet_by_hand(x: Tensor, w: Weights) -> Tensor:
    x = w.conv_norm(x).relu()
    for stage in range(4):
        for block in range(2):
            halves = stage > 0 and block == 0
            y = w.conv_norm(w.conv_norm(x, 2 if halves else 1).relu())
            x = (y + (w.conv_norm(x, 2, padding=0) if halves else x)).relu()
    return x.mean((2, 3))


def vgg_by_hand(x: Tensor, w: Weights) -> Tensor:
    for times in (2, 2, 3, 3, 3):
        for _ in range(times):
            x = w.conv_norm(x, bias=True).relu()
        x = functional.max_pool2d(x, 2)
    return w.dense(w.dense(x.flatten(1)).relu()).relu()


@pytest.mark.parametrize(
    ("name", "parameters", "shape", "largest", "by_hand"),
    [
        ("nature_cnn", {"width": 2, "features": 8}, (4, 36, 36), 255, nature_by_hand),
        ("hadamax", {"width": 2, "features": 8}, (4, 16, 16), 255, hadamax_by_hand),
        ("impala", {"width": 2, "features": 8}, (4, 24, 24), 255, impala_by_hand),
        ("resnet18", {"width": 2}, (3, 16, 16), 1, resnet_by_hand),
        ("vgg16_bn", {"width": 2, "features": 8}, (3, 32, 32), 1, vgg_by_hand),
    ],
    ids=["nature_cnn", "hadamax", "impala", "resnet18", "vgg16_bn"],
)
def test_parts_compute_the_published_functions(
    name: str, parameters: dict[str, int], shape: Shape, largest: int, by_hand: Callable[[Tensor, Weights], Tensor]
) -> None:
    module = fresh(part(name, **parameters), shape).double()
    generator = torch.Generator().manual_seed(0)
    for value in module.parameters():  # Biases, gains and shifts too, which start as constants.
        value.data.add_(0.3 * torch.randn(value.shape, generator=generator, dtype=torch.float64))
    x = largest * torch.rand(5, *shape, generator=generator, dtype=torch.float64)
    weights = iter(list(module.parameters()))
    expected = by_hand(x, Weights(weights))
    assert next(weights, None) is None, "every parameter is used"
    torch.testing.assert_close(module(x), expected)
    assert expected.std() > 1e-3


@pytest.mark.parametrize("name", ["nature_cnn", "impala"])
def test_byte_images_are_taken_as_they_are(name: str) -> None:
    module = fresh(part(name, width=2, features=8), (4, 36, 36))
    pixels = torch.randint(256, (2, 4, 36, 36), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(module(pixels), module(pixels.float()))
    assert module(pixels).dtype == torch.float32
