"""Attention against torch's own, and the transformer blocks of ViT and nGPT against independent implementations.

Legend: B batch, t tokens, d their width, h heads, k width of a head.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from fresh_blocks import fresh, parse, part
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from composer.spec.shape import ShapeError

BIASED = {"kind": "normal", "std": 1.0}
"""Biases that are not zero, so that none can be forgotten."""


def random_tokens(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def attention(**keys: Any) -> dict[str, Any]:
    return {"kind": "attention", "bias_init": BIASED, **keys}


def randomised(module: nn.Module) -> nn.Module:
    """The module in float64 and evaluation mode, every parameter drawn anew, those that start constant too."""
    generator = torch.Generator().manual_seed(5)
    for parameter in module.double().parameters():
        parameter.data.normal_(generator=generator)
    return module.eval()


@pytest.mark.parametrize("bias", [False, True])
def test_equals_torchs_multi_head_attention(bias: bool) -> None:
    module = fresh(parse(attention(heads=3, qkv_bias=bias, bias=bias)), (5, 12))
    w = dict(module.named_parameters())
    reference = nn.MultiheadAttention(12, 3, bias=bias, batch_first=True)
    state = {
        "in_proj_weight": torch.cat([w[f"{name}.weight"] for name in ("query", "key", "value")]),
        "out_proj.weight": w["output.weight"],
    }
    if bias:
        state["in_proj_bias"] = torch.cat([w[f"{name}.bias"] for name in ("query", "key", "value")])
        state["out_proj.bias"] = w["output.bias"]
    reference.load_state_dict(state)
    x = random_tokens(7, 5, 12)
    torch.testing.assert_close(module(x), reference(x, x, x, need_weights=False)[0])


def test_a_head_may_have_a_width_of_its_own() -> None:
    block = parse(attention(heads=2, head_width=5, bias=False))
    module = fresh(block, (4, 6))
    w = dict(module.named_parameters())
    x = random_tokens(2, 3, 4, 6)
    query, key, value = (
        (x @ w[f"{name}.weight"].mT + w[f"{name}.bias"]).view(2, 3, 4, 2, 5).transpose(-3, -2)
        for name in ("query", "key", "value")
    )
    heads = functional.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(module(x), heads.transpose(-3, -2).reshape(2, 3, 4, 10) @ w["output.weight"].mT)
    assert block.outline((4, 6)).count() == 3 * (10 * 6 + 10) + 6 * 10


def test_no_token_knows_its_place() -> None:
    module, x = fresh(parse(attention(heads=2)), (5, 8)), random_tokens(3, 5, 8)
    order = torch.tensor([4, 0, 3, 1, 2])
    torch.testing.assert_close(module(x[:, order]), module(x)[:, order])


def test_queries_and_keys_of_unit_norm_entry_by_entry() -> None:
    module = randomised(fresh(parse(attention(heads=2, head_width=3, qk_norm=True, qk_scale=0.25)), (4, 5)))
    w, x = dict(module.named_parameters()), random_tokens(4, 5).double()
    factor = w["qk_scaler"] / 0.25
    expected = []
    for head in (slice(0, 3), slice(3, 6)):
        query, key, value = (
            [row[head] for row in x @ w[f"{name}.weight"].mT + w[f"{name}.bias"]] for name in ("query", "key", "value")
        )
        query, key = ([factor[head] * row / row.norm() for row in rows] for rows in (query, key))
        rows = []
        for q in query:
            weights = torch.stack([math.sqrt(3) * (q @ k) for k in key]).exp()
            rows.append(sum(weight * v for weight, v in zip(weights / weights.sum(), value, strict=True)))
        expected.append(torch.stack(rows))
    attended = torch.cat(expected, -1) @ w["output.weight"].mT + w["output.bias"]
    torch.testing.assert_close(module(x), attended)


def test_the_learned_scale_of_queries_and_keys_starts_at_one() -> None:
    block = parse(attention(heads=2, qk_norm=True, qk_scale=0.25))
    assert fresh(block, (4, 6)).get_parameter("qk_scaler").tolist() == [0.25] * 6
    with torch.no_grad():
        one, other = (fresh(parse(attention(heads=2, qk_norm=True, qk_scale=s)), (4, 6)) for s in (0.25, 1.0))
        torch.testing.assert_close(one(random_tokens(4, 6)), other(random_tokens(4, 6)))


def test_a_block_on_the_probabilities() -> None:
    plain, halved = (
        fresh(parse(attention(heads=2, bias=False, **keys)), (3, 4))
        for keys in ({}, {"probabilities": {"kind": "scale", "factor": 0.5}})
    )
    x = random_tokens(2, 3, 4)
    torch.testing.assert_close(halved(x), plain(x) / 2)
    outline = parse(attention(heads=2, probabilities={"kind": "dropout", "rate": 0.5})).outline((3, 4))
    assert outline.children["probabilities"].input == (2, 3, 3)
    assert dict(outline.named_buffers()).keys() == {"probabilities.key", "probabilities.draws"}


def test_unit_norm_lies_along_the_axis_of_tokens() -> None:
    block = parse(attention(heads=2, head_width=3, unit_norm=True, weight=BIASED))
    module = fresh(block, (4, 5))
    for name in ("query", "key", "value"):
        torch.testing.assert_close(module.get_parameter(f"{name}.weight").norm(dim=1), torch.ones(6))
    torch.testing.assert_close(module.get_parameter("output.weight").norm(dim=0), torch.ones(6))
    kept = {path: plan.unit_axis for path, plan in block.outline((4, 5)).named_parameters() if plan.unit_axis}
    assert kept == {"query.weight": -1, "key.weight": -1, "value.weight": -1, "output.weight": -2}


def test_declared_cost_is_torchs_count_and_that_of_the_softmax() -> None:
    block = parse(attention(heads=2, head_width=3, qkv_bias=False, bias=False))
    with FlopCounterMode(display=False) as counter:
        block.build((4, 5))(random_tokens(7, 4, 5))
    assert counter.get_total_flops() == 7 * (block.outline((4, 5)).total_flops() - 6 * 2 * 4 * 4)


def encoder_layer(module: nn.Module, prefix: str, width: int, heads: int) -> nn.TransformerEncoderLayer:
    """torch's pre-norm encoder layer with the parameters of a built ``vit_block`` that has all biases."""
    layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", norm_first=True, batch_first=True).double()
    w = {path.removeprefix(prefix): value for path, value in module.named_parameters() if path.startswith(prefix)}
    names = {"norm1": "0.block.0", "self_attn.out_proj": "0.block.1.output", "norm2": "1.block.0"}
    names |= {"linear1": "1.block.1.0.0", "linear2": "1.block.1.1"}
    state = {f"{theirs}.{k}": w[f"{ours}.{k}"] for theirs, ours in names.items() for k in ("weight", "bias")}
    for k in ("weight", "bias"):
        state[f"self_attn.in_proj_{k}"] = torch.cat([w[f"0.block.1.{name}.{k}"] for name in ("query", "key", "value")])
    layer.load_state_dict(state)
    return layer.eval()


def test_vit_block_is_torchs_pre_norm_encoder_layer() -> None:
    module = randomised(part("vit_block", heads=2, qkv_bias=True).build((5, 8)))
    x = random_tokens(3, 5, 8).double()
    torch.testing.assert_close(module(x), encoder_layer(module, "", 8, 2)(x))


def test_vit_is_the_published_network() -> None:
    keys = {"patch": 2, "width": 8, "depth": 2, "heads": 2, "qkv_bias": True}
    module = randomised(part("vit_tiny", **keys).build((3, 4, 6)))
    w, x = dict(module.named_parameters()), random_tokens(5, 3, 4, 6).double()
    patches = x.unfold(-2, 2, 2).unfold(-2, 2, 2).movedim(1, 3).reshape(5, 6, 12)
    tokens = functional.layer_norm(patches, (12,), w["1.weight"], w["1.bias"])
    tokens = functional.layer_norm(tokens @ w["2.weight"].mT + w["2.bias"], (8,), w["3.weight"], w["3.bias"])
    tokens = torch.cat([w["4.weight"].expand(5, 1, 8), tokens], 1) + w["5.weight"]
    for layer in range(2):
        tokens = encoder_layer(module, f"7.{layer}.", 8, 2)(tokens)
    torch.testing.assert_close(module(x), functional.layer_norm(tokens[:, 0], (8,), w["8.weight"], w["8.bias"]))


def sphere(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def test_ngpt_block_is_the_published_one_without_mask_and_rotation() -> None:
    d, heads, rate = 8, 2, 0.05
    scale = 1 / math.sqrt(d)
    keys = {"width": d, "heads": heads, "gate_scaler": math.sqrt(d), "alpha_scale": scale}
    module = randomised(part("ngpt_block", **keys).build((5, d)))
    w, x = dict(module.named_parameters()), sphere(random_tokens(3, 5, d).double())
    query, key, value = (
        (x @ w[f"0.block.0.{name}.weight"].mT).view(3, 5, heads, 4).transpose(1, 2)
        for name in ("query", "key", "value")
    )
    s_qk = (w["0.block.0.qk_scaler"] / scale).view(heads, 1, 4)
    attended = functional.scaled_dot_product_attention(s_qk * sphere(query), s_qk * sphere(key), value, scale=2.0)
    out = attended.transpose(1, 2).reshape(3, 5, d) @ w["0.block.0.output.weight"].mT
    x = sphere(x + (w["0.alpha"] * rate / scale).abs() * (sphere(out) - x))
    u, v = (
        (x @ w[f"2.0.block.0.{branch}.0.weight"].mT) * w[f"2.0.block.0.{branch}.1.scaler"] * math.sqrt(d)
        for branch in (0, 1)
    )
    out = (u * functional.silu(v)) @ w["2.0.block.1.weight"].mT
    x = sphere(x + (w["2.0.alpha"] * rate / scale).abs() * (sphere(out) - x))
    torch.testing.assert_close(module(sphere(random_tokens(3, 5, d).double())), x)


@pytest.mark.parametrize(
    ("keys", "shape", "steps", "message"),
    [
        (
            {"heads": 3},
            (4, 8),
            ("heads",),
            "tokens of width 8 do not divide among 3 heads; 'head_width' gives theirs",
        ),
        ({"heads": 1024, "head_width": 65}, (4, 8), ("head_width",), "1024 x 65 = 66560 is wider than 65536"),
        (
            {"heads": 2},
            (8,),
            (),
            "'attention' takes tokens, [tokens, width]; its input has shape [8]; 'split_tokens' makes some of a vector",
        ),
        (
            {"heads": 2, "probabilities": {"kind": "linear", "width": 3}},
            (4, 8),
            ("probabilities",),
            "a block on attention probabilities must keep their shape [2, 4, 4]; its output is [2, 4, 3]",
        ),
        (
            {"heads": 2, "probabilities": {"kind": "detached", "block": {"kind": "relu"}}},
            (4, 8),
            ("probabilities",),
            "no gradient passes 'detached', so that no query or key would be trained",
        ),
        (
            {"heads": 2, "bias_init": {"kind": "orthogonal"}},
            (4, 8),
            ("bias_init",),
            "the initialiser 'orthogonal' needs a parameter with at least 2 axes; this one has shape [8]",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_refused_at_their_key(
    keys: dict[str, Any], shape: tuple[int, ...], steps: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ShapeError) as caught:
        parse({"kind": "attention", **keys}).outline(shape)
    assert (caught.value.message, caught.value.steps) == (message, steps)


def test_a_scale_without_its_norm_is_refused() -> None:
    with pytest.raises(ValidationError, match="'qk_scale' is used with qk_norm = true alone"):
        parse({"kind": "attention", "heads": 2, "qk_scale": 0.5})
