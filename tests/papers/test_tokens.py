"""To tokens and back to a vector, against indexing written out; what embeds places and classes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fresh_blocks import fresh, parse
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from composer.spec.shape import Shape, ShapeError

C, H, W = 3, 4, 6


def images(*batch: int) -> Tensor:
    return torch.randn(*batch, C, H, W, generator=torch.Generator().manual_seed(0))


def tokens_of(x: Tensor, **keys: Any) -> Tensor:
    block = parse({"kind": "tokens", **keys})
    shape = tuple(x.shape[2:])
    tokens: Tensor = block.build(shape)(x)
    assert tuple(tokens.shape[2:]) == block.outline(shape).output
    return tokens


def test_each_tokenisation_by_indexing() -> None:
    x = images(2, 5)
    by_position = torch.stack([x[..., row, column] for row in range(H) for column in range(W)], -2)
    torch.testing.assert_close(tokens_of(x, per="position"), by_position, rtol=0, atol=0)
    by_feature = torch.stack([x[..., channel, :, :].reshape(2, 5, H * W) for channel in range(C)], -2)
    torch.testing.assert_close(tokens_of(x, per="feature"), by_feature, rtol=0, atol=0)
    torch.testing.assert_close(tokens_of(x, per="sample"), x.reshape(2, 5, 1, C * H * W), rtol=0, atol=0)
    by_patch = torch.stack(
        [
            x[..., row : row + 2, column : column + 3].reshape(2, 5, C * 6)
            for row in range(0, H, 2)
            for column in range(0, W, 3)
        ],
        -2,
    )
    torch.testing.assert_close(tokens_of(x, per="patch", patch=[2, 3]), by_patch, rtol=0, atol=0)


def test_vectors_become_tokens() -> None:
    x = torch.arange(24.0).reshape(2, 1, 12)
    torch.testing.assert_close(tokens_of(x, per="feature"), x[..., None], rtol=0, atol=0)
    torch.testing.assert_close(tokens_of(x, per="sample"), x[..., None, :], rtol=0, atol=0)
    cut = torch.stack([x[..., 0:4], x[..., 4:8], x[..., 8:12]], -2)
    for keys in ({"count": 3}, {"width": 4}):
        block = parse({"kind": "split_tokens", **keys})
        assert block.outline((12,)).output == (3, 4)
        torch.testing.assert_close(block.build((12,))(x), cut, rtol=0, atol=0)


def test_patches_are_a_convolution_whose_stride_is_its_kernel() -> None:
    block, x = parse({"kind": "patches", "patch": [2, 3], "width": 5, "bias_init": {"kind": "ones"}}), images(7)
    module = fresh(block, (C, H, W))
    values = dict(module.named_parameters())
    convolved = functional.conv2d(x, values["weight"].view(5, C, 2, 3), values["bias"], stride=(2, 3))
    torch.testing.assert_close(module(x), convolved.flatten(2).mT)
    assert block.outline((C, H, W)).total_flops() == 4 * 5 * (2 * 18 + 1)


def test_class_token_position_embedding_selection_and_mean() -> None:
    table = [{"kind": "class_token"}, {"kind": "position_embedding", "weight": {"kind": "normal", "std": 1.0}}]
    x = torch.randn(2, 7, 3, 5, generator=torch.Generator().manual_seed(0))
    module = fresh(parse(table), (3, 5))
    values = dict(module.named_parameters())
    embedded = module(x)
    torch.testing.assert_close(embedded[..., 0, :], (values["0.weight"] + values["1.weight"][0]).expand(2, 7, 5))
    torch.testing.assert_close(embedded[..., 1:, :], x + values["1.weight"][1:])
    assert 0.001 < values["0.weight"].std() < 0.1 < values["1.weight"].std()
    for index, token in ((0, 0), (-1, 2), (1, 1)):
        picked = parse({"kind": "select_token", "index": index}).build((3, 5))(x)
        torch.testing.assert_close(picked, x[..., token, :], rtol=0, atol=0)
    torch.testing.assert_close(
        parse({"kind": "mean_tokens"}).build((3, 5))(x), (x[:, :, 0] + x[:, :, 1] + x[:, :, 2]) / 3
    )


@pytest.mark.parametrize("shape", [(6,), (3, 6)])
def test_restore_width_is_its_block_and_a_dense_layer_back(shape: Shape) -> None:
    inner = [{"kind": "linear", "width": 10}, {"kind": "relu"}]
    block = parse({"kind": "restore_width", "block": inner, "bias_init": {"kind": "ones"}})
    module = fresh(block, shape)
    x = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
    w = dict(module.named_parameters())
    hidden = (x @ w["0.0.weight"].mT + w["0.0.bias"]).clamp_min(0)
    torch.testing.assert_close(module(x), hidden @ w["1.weight"].mT + w["1.bias"])
    assert block.outline(shape).count() == 6 * 10 + 10 + 10 * 6 + 6


TOKENS_HINT = "; 'tokens' and 'patches' make some of an image"
VECTOR_HINT = "; 'split_tokens' makes some of a vector"


@pytest.mark.parametrize(
    ("table", "shape", "steps", "message"),
    [
        (
            {"kind": "tokens", "per": "position"},
            (16,),
            (),
            "'tokens' per position takes an image, [channels, height, width]; its input is a vector of 16, "
            "which 'split_tokens' cuts into tokens",
        ),
        (
            {"kind": "tokens", "per": "feature"},
            (3, 16),
            (),
            "'tokens' takes an image, [channels, height, width]; its input has shape [3, 16]",
        ),
        (
            {"kind": "tokens", "per": "patch", "patch": [3, 4]},
            (1, 9, 9),
            ("patch",),
            "patches of 3 x 4 do not fill an image of 9 x 9",
        ),
        (
            {"kind": "patches", "patch": 4, "width": 8},
            (1, 8, 9),
            ("patch",),
            "patches of 4 x 4 do not fill an image of 8 x 9",
        ),
        ({"kind": "tokens", "per": "sample"}, (300, 300), (), "300 x 300 = 90000 is wider than 65536"),
        ({"kind": "split_tokens", "count": 5}, (16,), ("count",), "a vector of 16 does not divide into 5 tokens"),
        (
            {"kind": "split_tokens", "width": 5},
            (16,),
            ("width",),
            "a vector of 16 does not divide into tokens of width 5",
        ),
        ({"kind": "split_tokens", "width": 5}, (2, 5), (), "'split_tokens' takes a vector; its input has shape [2, 5]"),
        (
            {"kind": "class_token"},
            (16,),
            (),
            f"'class_token' takes tokens, [tokens, width]; its input has shape [16]{VECTOR_HINT}",
        ),
        (
            {"kind": "mean_tokens"},
            (1, 2, 3),
            (),
            f"'mean_tokens' takes tokens, [tokens, width]; its input has shape [1, 2, 3]{TOKENS_HINT}",
        ),
        ({"kind": "select_token", "index": -4}, (3, 8), ("index",), "no token -4 among 3"),
        ({"kind": "select_token", "index": 3}, (3, 8), ("index",), "no token 3 among 3"),
        (
            {"kind": "position_embedding", "weight": {"kind": "orthogonal"}},
            (4,),
            (),
            f"'position_embedding' takes tokens, [tokens, width]; its input has shape [4]{VECTOR_HINT}",
        ),
        (
            {"kind": "class_token", "weight": {"kind": "orthogonal"}},
            (3, 4),
            ("weight",),
            "the initialiser 'orthogonal' needs a parameter with at least 2 axes; this one has shape [4]",
        ),
        (
            {"kind": "restore_width", "block": {"kind": "linear", "expansion": 64}},
            (3, 4096),
            ("block", "expansion"),
            "64 x 4096 = 262144 is wider than 65536",
        ),
        (
            {"kind": "restore_width", "block": {"kind": "relu"}, "bias_init": {"kind": "orthogonal"}},
            (4,),
            ("bias_init",),
            "the initialiser 'orthogonal' needs a parameter with at least 2 axes; this one has shape [4]",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_refused_at_their_key(
    table: object, shape: Shape, steps: tuple[str | int, ...], message: str
) -> None:
    block = parse(table)
    for method in (block.outline, block.build):
        with pytest.raises(ShapeError) as caught:
            method(shape)
        assert (caught.value.message, caught.value.steps) == (message, steps)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"kind": "tokens", "per": "patch"},
            "per = \"patch\" needs 'patch', the size of one",
        ),
        (
            {"kind": "tokens", "per": "sample", "patch": 2},
            "'patch' is for per = \"patch\" alone; 'per' is 'sample'",
        ),
        ({"kind": "split_tokens"}, "give exactly one of 'count' and 'width'; got neither"),
        ({"kind": "split_tokens", "count": 2, "width": 2}, "give exactly one of 'count' and 'width'; got both"),
    ],
)
def test_keys_that_do_not_fit_each_other_are_refused(table: object, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse(table)
    (error,) = caught.value.errors()
    assert error["msg"] == message
