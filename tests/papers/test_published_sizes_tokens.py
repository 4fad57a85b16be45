"""Parameter counts of the parts made of tokens, each derived layer by layer from the paper or its released code.

Every count is that of the outline, which tests/contracts hold to the built module; here the module is counted too.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from fresh_blocks import part

from composer.spec.shape import Shape


def dense(inputs: int, outputs: int, bias: bool = True) -> int:
    return inputs * outputs + bias * outputs


def count(name: str, shape: Shape, **parameters: Any) -> int:
    block = part(name, **parameters)
    with torch.device("meta"):
        built = sum(parameter.numel() for parameter in block.build(shape).parameters())
    assert built == block.outline(shape).count()
    return built


def transformer_block(width: int, hidden: int, qkv_bias: bool) -> int:
    """Layer norm, three maps of the tokens, the output projection; layer norm, two dense layers."""
    norm = 2 * width
    attention = 3 * dense(width, width, qkv_bias) + dense(width, width)
    return 2 * norm + attention + dense(width, hidden) + dense(hidden, width)


def test_vit_tiny() -> None:
    # arXiv:2406.02596's released code: 64 patches of 4 x 4 x 3 entries, a layer norm on each side of their dense layer,
    # no biases in queries, keys and values.
    embedding = 2 * 48 + dense(48, 192) + 2 * 192
    expected = embedding + 192 + 65 * 192 + 12 * transformer_block(192, 768, qkv_bias=False) + 2 * 192
    assert count("vit_tiny", (3, 32, 32)) == expected == 5_354_400
    assert count("vit_block", (65, 192)) == transformer_block(192, 768, qkv_bias=False) == 444_288
    assert part("vit_tiny").outline((3, 32, 32)).output == (192,)


def test_the_same_blocks_at_the_size_of_deit_ti() -> None:
    # DeiT-Ti (arXiv:2012.12877; 5.7M parameters with a head for 1,000 classes) has all biases, and no norms around the
    # patch embedding, which here are 2 x (768 + 192) parameters more.
    ours = count("vit_tiny", (3, 224, 224), patch=16, qkv_bias=True)
    deit = ours - 2 * (768 + 192) + dense(192, 1000)
    embedding = dense(768, 192) + 192 + (14 * 14 + 1) * 192
    assert deit == embedding + 12 * transformer_block(192, 768, qkv_bias=True) + 2 * 192 + dense(192, 1000) == 5_717_416


@pytest.mark.parametrize(("experts", "slots"), [(1, 121), (8, 16)])
def test_soft_moe(experts: int, slots: int) -> None:
    # Impala's last image on Atari is 32 x 11 x 11: 121 tokens of width 32, ceil(121 / n) slots an expert, each expert
    # a dense layer to 512 and one back.
    expected = 32 * experts * slots + experts * (dense(32, 512) + dense(512, 32))
    assert count("soft_moe", (32, 11, 11), experts=experts) == expected
    assert slots == math.ceil(121 / experts) and (experts != 8 or expected == 270_592)
    assert part("soft_moe", experts=experts).outline((32, 11, 11)).output == (3872,)


def test_impala_soft_moe() -> None:
    # Three stages of five 3 x 3 convolutions, of widths 16, 32, 32; then the mixture.
    convolutions, inputs = 0, 4
    for width in (16, 32, 32):
        convolutions += dense(9 * inputs, width) + 4 * dense(9 * width, width)
        inputs = width
    assert count("impala_soft_moe", (4, 84, 84)) == convolutions + 270_592 == 368_336
    assert part("impala_convolutions").outline((4, 84, 84)).output == (32, 11, 11)


def test_nature_soft_moe() -> None:
    # Three convolutions; 49 tokens of width 64 on 8 experts of 7 slots, of 512 hidden units.
    convolutions = dense(4 * 64, 32) + dense(32 * 16, 64) + dense(64 * 9, 64)
    mixture = 64 * 8 * 7 + 8 * (dense(64, 512) + dense(512, 64))
    assert count("nature_soft_moe", (4, 84, 84)) == convolutions + mixture == 610_464
    assert part("nature_soft_moe").outline((4, 84, 84)).output == (3136,)


def test_top1_moe() -> None:
    # 32 tokens of width 121, one a channel; the router has no bias.
    expected = dense(121, 8, bias=False) + 8 * (dense(121, 512) + dense(512, 121))
    assert count("top1_moe", (32, 11, 11)) == expected == 997_264


def test_ngpt_block() -> None:
    # nGPT's released code at width 1024: four maps of attention, s_qk; two of 4 x 1024 with s_uv, and one back; a step
    # length for each half. No biases.
    d = 1024
    attention = 4 * d * d + d + d
    feed_forward = 2 * 4 * d * d + 2 * 4 * d + 4 * d * d + d
    assert count("ngpt_block", (8, d)) == attention + feed_forward == 16_788_480
