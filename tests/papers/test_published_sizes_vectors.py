"""Sizes of the parts for vectors: the counts of outlines and of built modules against formulas written from the papers.

How each was established. SimBa: its code's layers, and the paper's order of 4.2 million besides ``512 d`` for a critic.
CrossQ with weight norm: the paper's order of 600,000, of two critics. SimbaV2, BroNet, FlashSAC, nGPT's feed-forward
half: no count is published; the formulas add up the matrices, gains and biases of the released code by hand. Gates,
perceptrons: the matrices of their papers' equations. Biases stand where those have them; d inputs, h width, L blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from composer.blueprint.syntax.nodes import annotate, plain
from composer.blueprint.syntax.parts_expand import expand
from composer.networks.blocks import Block
from composer.networks.outline import Outline

ACTOR_V2 = {"width": 128, "blocks": 1, "embed_scaler": 0.125, "block_scaler": 0.0625, "alpha_init": 0.5}


def outline(name: str, inputs: int, **parameters: Any) -> tuple[Block, Outline]:
    tree, problems = expand(annotate({"use": name, **parameters}, {}, "test"))
    assert not problems
    block = TypeAdapter[Block](Block).validate_python(plain(tree))
    return block, block.outline((inputs,))


def dense(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def simba(d: int, h: int, blocks: int) -> int:
    return dense(d, h) + blocks * (2 * h + dense(h, 4 * h) + dense(4 * h, h)) + 2 * h


def simba_v2(d: int, h: int, blocks: int) -> int:
    embedding = (d + 1) * h + h  # One input more for the shift; a scaler, no bias.
    return embedding + blocks * (h * 4 * h + 4 * h + 4 * h * h + h)  # Two matrices, a scaler, alpha.


def bro(d: int, h: int, blocks: int) -> int:
    return dense(d, h) + 2 * h + blocks * 2 * (dense(h, h) + 2 * h)


def flash_sac(d: int, h: int, blocks: int) -> int:
    embedding = 2 * d + d * h
    return embedding + blocks * (2 * h * 4 * h + 2 * 4 * h + 2 * h) + h  # Two matrices, gains and shifts; a gain.


def crossq_wn(d: int, h: int) -> int:
    return 2 * d + dense(d, h) + 2 * h + dense(h, h) + 2 * h


def perceptron(d: int, h: int) -> int:
    return dense(d, h) + dense(h, h)


@pytest.mark.parametrize("d", [30, 261], ids=["walker", "dog"])
@pytest.mark.parametrize(
    ("name", "parameters", "formula"),
    [
        ("simba", {}, lambda d: simba(d, 512, 2)),
        ("simba", {"width": 128, "blocks": 1}, lambda d: simba(d, 128, 1)),
        ("simba_v2", {}, lambda d: simba_v2(d, 512, 2)),
        ("simba_v2", ACTOR_V2, lambda d: simba_v2(d, 128, 1)),
        ("bro", {}, lambda d: bro(d, 512, 2)),
        ("bro", {"width": 256, "blocks": 1}, lambda d: bro(d, 256, 1)),
        ("flash_sac", {}, lambda d: flash_sac(d, 256, 2)),
        ("flash_sac", {"width": 128}, lambda d: flash_sac(d, 128, 2)),
        ("crossq_wn", {}, lambda d: crossq_wn(d, 512)),
        ("crossq_wn", {"width": 256}, lambda d: crossq_wn(d, 256)),
        ("mlp", {}, lambda d: perceptron(d, 256)),
        ("crelu_mlp", {}, lambda d: dense(d, 256) + dense(512, 256)),
        ("deep_fourier_mlp", {}, lambda d: dense(d, 128) + dense(256, 128)),
        ("hadamard_mlp", {}, lambda d: 2 * dense(d, 256) + 2 * dense(256, 256)),
        ("fourier_mlp", {}, lambda d: 128 * d + perceptron(256, 256)),
        ("gate", {}, lambda d: 2 * dense(d, 512)),
        ("swiglu", {}, lambda d: 2 * d * 2048 + 2048 * 768),
        ("simba_v2_hidden", {}, lambda d: 512 * d + 512),
    ],
)
def test_sizes(name: str, parameters: dict[str, Any], formula: Callable[[int], int], d: int) -> None:
    block, found = outline(name, d, **parameters)
    assert found.count() == formula(d)
    with torch.device("meta"):
        module = block.build((d,))
    assert sum(value.numel() for value in module.parameters()) == formula(d)
    trained = sum(value.numel() for value in module.parameters() if value.requires_grad)
    assert found.count(trainable_only=True) == trained == formula(d) - (128 * d if name == "fourier_mlp" else 0)


def test_a_simba_critic_is_of_the_published_order() -> None:
    """4.2 million and 512 an input, its head included."""
    assert 4_200_000 < outline("simba", 30)[1].count() + dense(512, 1) - 512 * 30 < 4_205_000


def test_two_critics_of_crossq_with_weight_norm_are_of_the_published_order() -> None:
    """About 600,000 in arXiv:2502.07523, section 5.2; more where there are more inputs."""
    assert 550_000 < 2 * (outline("crossq_wn", 24)[1].count() + dense(512, 1)) < 650_000


def test_blocks_alone() -> None:
    assert outline("simba_v2_block", 512)[1].count() == 2 * 4 * 512 * 512 + 4 * 512 + 512
    assert outline("bro_block", 512)[1].count() == 2 * (512 * 512 + 512) + 2 * 2 * 512
    # u and v of 4 d each with their scalers, the matrix back, alpha: 8 d^2 + 8 d + 4 d^2 + d.
    assert outline("ngpt_mlp_block", 1024)[1].count() == 12 * 1024**2 + 9 * 1024


def test_swiglu_is_as_large_as_an_ungated_layer_four_times_as_wide() -> None:
    assert outline("swiglu", 768)[1].count() == 2 * 768 * (4 * 768)
