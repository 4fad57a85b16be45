"""Blocks against their formulas, and their declared cost against torch's own count."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from composer.networks.blocks import (
    Block,
    ChannelLayerNorm,
    ChannelRmsNorm,
    Elu,
    Gelu,
    LayerNorm,
    Relu,
    RmsNorm,
    Silu,
    Tanh,
)


def grid() -> Tensor:
    return torch.linspace(-4, 4, 101, dtype=torch.float64)


@pytest.mark.parametrize(
    ("block", "formula"),
    [
        (Relu(), lambda x: max(x, 0.0)),
        (Gelu(), lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2),
        (Silu(), lambda x: x / (1 + math.exp(-x))),
        (Tanh(), lambda x: (math.exp(2 * x) - 1) / (math.exp(2 * x) + 1)),
        (Elu(alpha=0.7), lambda x: x if x > 0 else 0.7 * (math.exp(x) - 1)),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_activations(block: Block, formula: Callable[[float], float]) -> None:
    expected = torch.tensor([formula(x) for x in grid().tolist()], dtype=torch.float64)
    torch.testing.assert_close(block.build((101,))(grid()), expected)


# An epsilon of the order of the variance shows that it stands inside the root, added once.
@pytest.mark.parametrize("epsilon", [1e-6, 0.5])
def test_layer_norm_and_rms_norm(epsilon: float) -> None:
    x = torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.3
    variance = x.var(-1, correction=0, keepdim=True)
    expected = (x - x.mean(-1, keepdim=True)) / (variance + epsilon).sqrt()
    torch.testing.assert_close(LayerNorm(epsilon=epsilon, affine=False).build((8,))(x), expected)
    expected = x / (x.square().mean(-1, keepdim=True) + epsilon).sqrt()
    torch.testing.assert_close(RmsNorm(epsilon=epsilon, affine=False).build((8,))(x), expected)


def test_channel_layer_norm_is_layer_norm_at_each_place() -> None:
    images = torch.randn(2, 5, 6, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.3
    found = ChannelLayerNorm(epsilon=0.5).build((6, 3, 4)).double()
    with torch.no_grad():
        found.weight.copy_(torch.arange(6.0))
        found.bias.copy_(torch.arange(6.0) / 2)
        normalised = found(images)
    for row, column in ((0, 0), (2, 3), (1, 2)):
        place = images[..., row, column]
        spread = (place.var(-1, correction=0, keepdim=True) + 0.5).sqrt()
        expected = (place - place.mean(-1, keepdim=True)) / spread * torch.arange(6.0) + torch.arange(6.0) / 2
        torch.testing.assert_close(normalised[..., row, column], expected)
    vectors = torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    layer = LayerNorm(affine=False).build((8,))(vectors)
    torch.testing.assert_close(ChannelLayerNorm(affine=False).build((8,))(vectors), layer)


def test_channel_rms_norm_is_rms_norm_at_each_place() -> None:
    images = torch.randn(2, 5, 6, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.3
    found = ChannelRmsNorm(epsilon=0.5).build((6, 3, 4)).double()
    with torch.no_grad():
        found.weight.copy_(torch.arange(6.0))
        normalised = found(images)
    expected = images / (images.square().mean(2, keepdim=True) + 0.5).sqrt() * torch.arange(6.0)[:, None, None]
    torch.testing.assert_close(normalised, expected)
    vectors = torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    alone = RmsNorm(affine=False).build((8,))(vectors)
    torch.testing.assert_close(ChannelRmsNorm(affine=False).build((8,))(vectors), alone)


def test_gain_and_shift_start_at_one_and_zero() -> None:
    outline = LayerNorm().outline((8,))
    drawn = {path: plan.initializer.kind for path, plan in outline.named_parameters()}
    assert drawn == {"weight": "ones", "bias": "zeros"}
    assert LayerNorm().epsilon == RmsNorm().epsilon == 1e-6


def test_declared_cost_of_matrix_products_is_torchs_count() -> None:
    table = [
        {"kind": "linear", "width": 24, "bias": False},
        {"kind": "repeat", "times": 3, "block": {"kind": "linear", "expansion": 2, "bias": False}},
    ]
    block = TypeAdapter(Block).validate_python(table)
    counter = FlopCounterMode(display=False)
    with counter:
        block.build((5, 16))(torch.ones(7, 5, 16))
    assert counter.get_total_flops() == 7 * block.outline((5, 16)).total_flops()
