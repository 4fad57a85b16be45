"""Convolution, pooling and what goes with them, against torch's own functions and against windows placed by hand."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from fresh_blocks import fresh, parse
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from composer.networks.blocks import AveragePool, Conv, MaxPool
from composer.networks.modules import pooling
from composer.spec.shape import Shape, ShapeError

IMAGE = (4, 9, 7)


def images(*batch: int, shape: Shape = IMAGE) -> Tensor:
    return torch.randn(*batch, *shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("keys", "pads", "torchs"),
    [
        ({"kernel": 3}, (0, 0, 0, 0), {}),
        ({"kernel": [5, 2], "stride": [2, 1], "padding": 1}, (1, 1, 1, 1), {"stride": (2, 1)}),
        ({"kernel": 3, "dilation": [3, 2], "padding": "valid"}, (0, 0, 0, 0), {"dilation": (3, 2)}),
        ({"kernel": 3, "groups": 2, "bias": False}, (0, 0, 0, 0), {"groups": 2}),
        ({"kernel": 3, "groups": "depthwise", "padding": 2}, (2, 2, 2, 2), {"groups": 4}),
        # "same" by hand: 9 rows and 7 columns; pads are left, right, above, below.
        ({"kernel": 3, "padding": "same"}, (1, 1, 1, 1), {}),
        ({"kernel": [5, 3], "padding": "same"}, (1, 1, 2, 2), {}),
        ({"kernel": [4, 3], "padding": "same"}, (1, 1, 1, 2), {}),
        ({"kernel": 3, "stride": 2, "padding": "same"}, (1, 1, 1, 1), {"stride": 2}),
        ({"kernel": 2, "stride": [3, 2], "padding": "same"}, (0, 1, 0, 0), {"stride": (3, 2)}),
        ({"kernel": 3, "dilation": 2, "stride": 2, "padding": "same"}, (2, 2, 2, 2), {"stride": 2, "dilation": 2}),
    ],
    ids=str,
)
def test_conv_is_torchs(keys: dict[str, Any], pads: tuple[int, ...], torchs: dict[str, Any]) -> None:
    block = parse({"kind": "conv", "width": 8, "bias_init": {"kind": "uniform_fan_in"}, **keys})
    module = fresh(block, IMAGE)
    parameters = dict(module.named_parameters())
    x = images(3)
    expected = functional.conv2d(functional.pad(x, pads), parameters["weight"], parameters.get("bias"), **torchs)
    torch.testing.assert_close(module(x), expected)
    assert block.outline(IMAGE).output == expected.shape[1:]
    several = x.expand(2, 5, *x.shape)
    torch.testing.assert_close(module(several), expected.expand(2, 5, *expected.shape))
    torch.testing.assert_close(module(x[0]), expected[0])
    counter = FlopCounterMode(display=False)
    with counter:
        module(x)
    biases = math.prod(expected.shape[1:]) if "bias" in parameters else 0
    assert counter.get_total_flops() == 3 * (block.outline(IMAGE).total_flops() - biases)


@pytest.mark.parametrize("groups", [1, 2, "depthwise"])
def test_fans_are_torchs(groups: int | str) -> None:
    block = parse({"kind": "conv", "expansion": 2, "kernel": [3, 5], "groups": groups, "padding": "same"})
    plans = block.outline(IMAGE).parameters
    fans = nn.init._calculate_fan_in_and_fan_out(torch.empty(plans["weight"].shape))
    assert (plans["weight"].fan_in, plans["weight"].fan_out) == (plans["bias"].fan_in, plans["bias"].fan_out) == fans


def window_entries(size: int, kernel: int, stride: int, low: int, count: int) -> list[slice]:
    """Per window of one axis, the entries of the image that it sees."""
    return [slice(max(at * stride - low, 0), min(at * stride - low + kernel, size)) for at in range(count)]


@pytest.mark.parametrize(
    ("keys", "low", "count"),
    [
        ({"kernel": 2}, (0, 0), (4, 3)),
        ({"kernel": 3, "stride": 2, "padding": 1}, (1, 1), (5, 4)),
        ({"kernel": [2, 4], "stride": [3, 1], "padding": 1}, (1, 1), (4, 6)),
        ({"kernel": 3, "stride": 2, "padding": "same"}, (1, 1), (5, 4)),
        ({"kernel": [4, 2], "stride": 1, "padding": "same"}, (1, 0), (9, 7)),
        ({"kernel": [5, 3], "stride": 2, "padding": "same"}, (2, 1), (5, 4)),
    ],
    ids=str,
)
def test_pools_see_the_image_alone(keys: dict[str, Any], low: tuple[int, int], count: tuple[int, int]) -> None:
    x = images(3) - 10  # Below 0, so that a padding of zeros would be the largest.
    kernel, stride = keys["kernel"], keys.get("stride", keys["kernel"])
    (kernels, strides) = ((value, value) if isinstance(value, int) else value for value in (kernel, stride))
    rows, columns = (window_entries(*axis) for axis in zip(IMAGE[1:], kernels, strides, low, count, strict=True))
    for kind, function in {"max_pool": Tensor.amax, "average_pool": Tensor.mean}.items():
        expected = torch.stack(
            [torch.stack([function(x[..., row, column], (-2, -1)) for column in columns], -1) for row in rows], -2
        )
        block = parse({"kind": kind, **keys})
        module = block.build(IMAGE)
        assert block.outline(IMAGE).output == expected.shape[1:]
        assert block.outline(IMAGE).total_flops() == expected[0].numel() * math.prod(kernels)
        torch.testing.assert_close(module(x), expected)
        torch.testing.assert_close(module(x.expand(2, *x.shape)), expected.expand(2, *expected.shape))
        torch.testing.assert_close(module(x[0]), expected[0])


def test_windows_at_the_edges_see_what_padding_by_hand_shows_them() -> None:
    """Where torch's rounding up makes the same windows, nothing is copied; both ways occur."""
    rounded = 0
    for size, kernel, stride, before, after in itertools.product(range(3, 9), (2, 3), (1, 2, 3), (0, 1), (0, 1, 2)):
        if after < kernel:
            x = torch.randn(1, 2, size, size + 3, requires_grad=True)
            pool = pooling.MaxPool((kernel, kernel), (stride, stride), (before, after, before, after))
            by_hand = functional.pad(x, (before, after, before, after), value=-math.inf)
            expected = functional.max_pool2d(by_hand, kernel, stride)
            assert torch.equal(pool(x), expected)
            gradients = [torch.autograd.grad(y.square().sum(), x)[0] for y in (pool(x), expected)]
            assert torch.equal(*gradients)
            rounded += pool._is_rounded_up(size, size + 3)
    assert 60 < rounded < 120 and pooling.MaxPool((3, 3), (2, 2), (0, 1, 0, 1))._is_rounded_up(84, 84), "IMPALA's"


def test_same_padding_of_even_images_goes_below_and_to_the_right() -> None:
    module = MaxPool(kernel=3, stride=2, padding="same").build((1, 84, 84))
    x = torch.zeros(1, 84, 84)
    x[0, 2, 83] = 1.0
    (where,) = module(x)[0].nonzero().tolist()[:1]
    assert module(x).shape == (1, 42, 42) and where == [0, 41] and module(x)[0, 1, 41] == 1
    conv = fresh(Conv(width=1, kernel=3, stride=2, padding="same", weight={"kind": "ones"}), (1, 84, 84))
    assert conv(torch.ones(1, 84, 84))[0, [0, 41, 41], [0, 0, 41]].tolist() == [9.0, 6.0, 4.0]


def test_global_average_flatten_and_scale() -> None:
    x = images(2, 3)
    torch.testing.assert_close(parse({"kind": "global_average_pool"}).build(IMAGE)(x), x.mean(4).mean(3))
    flatten = parse({"kind": "flatten"})
    assert flatten.outline(IMAGE).output == (4 * 9 * 7,)
    assert torch.equal(flatten.build(IMAGE)(x)[1, 2], torch.cat([row for channel in x[1, 2] for row in channel]))
    assert torch.equal(flatten.build((5,))(images(shape=(5,))), images(shape=(5,)))
    pixels = torch.arange(256, dtype=torch.uint8)
    scaled = parse({"kind": "scale", "factor": 2 / 255, "shift": -1.0}).build((256,))(pixels)
    assert scaled.dtype == torch.float32
    torch.testing.assert_close(scaled, torch.linspace(-1, 1, 256))


@pytest.mark.parametrize(
    ("table", "shape", "steps", "message"),
    [
        (
            {"kind": "conv", "width": 8, "kernel": 3},
            (16,),
            (),
            "'conv' takes an image, [channels, height, width]; its input has shape [16]",
        ),
        (
            {"kind": "conv", "width": 8, "kernel": [8, 3]},
            (3, 7, 7),
            ("kernel",),
            "a kernel of 8 x 3 does not fit into an image of 7 x 7",
        ),
        (
            {"kind": "conv", "width": 8, "kernel": 3, "dilation": 5, "padding": 1},
            (3, 7, 7),
            ("kernel",),
            "a kernel of 3 x 3, spread over 11 x 11 by dilation, does not fit into an image of 7 x 7, padded to 9 x 9",
        ),
        (
            {"kind": "conv", "width": 8, "kernel": 3, "groups": 2},
            (3, 8, 8),
            ("groups",),
            "3 input channels do not divide into 2 groups",
        ),
        (
            {"kind": "conv", "width": 8, "kernel": 3, "groups": "depthwise"},
            (3, 8, 8),
            ("groups",),
            "8 output channels do not divide into 3 groups",
        ),
        (
            {"kind": "conv", "expansion": 64, "kernel": 1},
            (2048, 8, 8),
            ("expansion",),
            "64 x 2048 = 131072 is wider than 65536",
        ),
        (
            {"kind": "conv", "width": 8, "kernel": 3, "bias_init": {"kind": "orthogonal"}},
            (3, 8, 8),
            ("bias_init",),
            "the initialiser 'orthogonal' needs a parameter with at least 2 axes; this one has shape [8]",
        ),
        (
            {"kind": "max_pool", "kernel": 5},
            (3, 4, 4),
            ("kernel",),
            "a kernel of 5 x 5 does not fit into an image of 4 x 4",
        ),
        (
            {"kind": "global_average_pool"},
            (4, 16),
            (),
            "'global_average_pool' takes an image, [channels, height, width]; its input has shape [4, 16]",
        ),
        ({"kind": "flatten"}, (), (), "'flatten' acts on the last axis, and its input is a scalar, shape []"),
    ],
)
def test_shape_errors(table: object, shape: Shape, steps: tuple[str, ...], message: str) -> None:
    for method in (parse(table).outline, parse(table).build):
        with pytest.raises(ShapeError) as caught:
            method(shape)
        assert (caught.value.message, caught.value.steps) == (message, steps)


@pytest.mark.parametrize(
    ("keys", "where", "message"),
    [
        ({"kernel": 0}, ("kernel",), "expected an integer from 1 to 1024, or two, [height, width]; got integer 0"),
        ({"kernel": True}, ("kernel",), "got boolean true"),
        ({"kernel": [3, 3, 3]}, ("kernel",), "got [3, 3, 3]"),
        ({"stride": [1, 0]}, ("stride",), "got [1, 0]"),
        ({"padding": -1}, ("padding",), "expected 'same', 'valid' or an integer from 0 to 1024, got integer -1"),
        ({"padding": "sane"}, ("padding",), "got string \"sane\"; did you mean 'same'?"),
        ({"groups": "dephtwise"}, ("groups",), "did you mean 'depthwise'?"),
        ({"groups": 0}, ("groups",), "expected an integer from 1 to 65536 or 'depthwise', got integer 0"),
        ({"expansion": 2}, (), "give exactly one of 'width' and 'expansion'; got both"),
    ],
)
def test_keys_out_of_bounds_are_refused_once(keys: dict[str, Any], where: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse({"kind": "conv", "width": 8, "kernel": 3, **keys})
    (error,) = caught.value.errors()
    assert error["loc"] == where
    assert message in error["msg"]


@pytest.mark.parametrize("factor", [2, [3, 1]])
def test_upsample_repeats_pixels(factor: int | list[int]) -> None:
    block, (down, right) = (
        parse({"kind": "upsample", "factor": factor}),
        (factor if isinstance(factor, list) else (2, 2)),
    )
    x = images(2, 3)
    expected = x.repeat_interleave(down, -2).repeat_interleave(right, -1)
    assert torch.equal(fresh(block, IMAGE)(x), expected) and block.outline(IMAGE).output == expected.shape[2:]


def test_pools_refuse_no_stride_and_windows_in_padding_alone() -> None:
    with pytest.raises(ValidationError) as caught:
        parse({"kind": "max_pool", "kernel": 2, "stride": 0})
    assert [error["loc"] for error in caught.value.errors()] == [("stride",)]
    with pytest.raises(ValidationError, match=r"'padding' \(2\) is more than half of 'kernel' \(3\)"):
        AveragePool(kernel=3, padding=2)
    assert AveragePool(kernel=(2, 4), padding=1).outline((1, 2, 4)).output == (1, 2, 1)


def test_planes_stand_behind_the_image_of_a_flat_vector() -> None:
    image, numbers = images(2, 3, shape=(2, 3, 4)), torch.tensor([0.0, 1.0, -2.0]).expand(2, 3, 3)
    block = parse({"kind": "planes", "channels": 2, "height": 3, "width": 4})
    joined = torch.cat([image.flatten(2), numbers], -1)
    out = fresh(block, (27,))(joined)
    assert out.shape == (2, 3, 5, 3, 4) and torch.equal(out[:, :, :2], image)
    for index, number in enumerate((0.0, 1.0, -2.0)):
        assert (out[:, :, 2 + index] == number).all()
    with pytest.raises(ShapeError, match=r"a vector of 24 entries or more \(2 x 3 x 4\).* \[23\]"):
        block.outline((23,))


def test_min_max_brings_each_sample_into_zero_to_one() -> None:
    x = images(2, 3)
    out = fresh(parse({"kind": "min_max", "epsilon": 1e-3}), IMAGE)(x)
    for sample, got in zip(x.flatten(0, 1), out.flatten(0, 1), strict=True):
        expected = (sample - sample.min()) / (sample.max() - sample.min() + 1e-3)
        torch.testing.assert_close(got, expected)
    assert torch.isfinite(fresh(parse({"kind": "min_max"}), (3,))(torch.zeros(1, 3))).all()
