"""Weight norm and spectral norm around linear and convolution: formulas, starts, gradients, statistics."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fresh_blocks import fresh, parse
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from composer.spec.shape import Shape, ShapeError

UNIFORM = {"kind": "uniform_fan_in"}
LINEAR = {"kind": "linear", "width": 6, "weight": UNIFORM, "bias_init": UNIFORM}
CONV = {"kind": "conv", "width": 6, "kernel": 3, "groups": 2, "stride": 2, "weight": UNIFORM, "bias_init": UNIFORM}
CASES: list[Any] = [(LINEAR, (8,)), (CONV, (4, 7, 7))]


def wrapped(kind: str, block: dict[str, Any], shape: Shape, **keys: Any) -> tuple[nn.Module, nn.Module, Tensor]:
    """The wrapper, the block alone with the same weight and bias, and an input."""
    module, alone = fresh(parse({"kind": kind, "block": block, **keys}), shape), fresh(parse(block), shape)
    alone.load_state_dict(module.block.state_dict())
    return module, alone, torch.randn(5, *shape, generator=torch.Generator().manual_seed(0))


def called_with(alone: nn.Module, weight: Tensor, x: Tensor) -> Tensor:
    y: Tensor = torch.func.functional_call(alone, {"weight": weight}, (x,))
    return y


@pytest.mark.parametrize(("block", "shape"), CASES, ids=["linear", "conv"])
def test_weight_norm_is_eq_2(block: dict[str, Any], shape: Shape) -> None:
    module, alone, x = wrapped("weight_norm", block, shape)
    gains = torch.linspace(-1, 2, 6)
    with torch.no_grad():
        module.gain.copy_(gains)
    rows = [gain * row / row.square().sum().sqrt() for gain, row in zip(gains, alone.weight.detach(), strict=True)]
    torch.testing.assert_close(module(x), called_with(alone, torch.stack(rows), x))
    (gradient,) = torch.autograd.grad(module(x).square().sum(), module.block.weight)
    # Section 2.1: the gradient of v is orthogonal to v, so that |v| does not shrink.
    cosine = torch.cosine_similarity(gradient.flatten(1), module.block.weight.flatten(1))
    torch.testing.assert_close(cosine, torch.zeros(6), atol=1e-5, rtol=0)


def test_weight_norm_starts_with_rows_of_unit_norm_or_as_the_block_where_a_gain_says_so() -> None:
    unit, _, x = wrapped("weight_norm", {**LINEAR, "bias": False}, (8,))
    white = torch.linalg.qr(torch.randn(64, 8, generator=torch.Generator().manual_seed(1)))[0] * 8
    torch.testing.assert_close(unit(white).square().mean(0), torch.ones(6))
    orthogonal = {"kind": "linear", "width": 6, "weight": {"kind": "orthogonal", "gain": 1.5}}
    module, alone, x = wrapped("weight_norm", orthogonal, (8,), gain={"kind": "constant", "value": 1.5})
    torch.testing.assert_close(module(x), alone(x))
    theirs = parametrizations.weight_norm(nn.Linear(8, 6))
    theirs.load_state_dict(
        {
            "bias": module.block.bias,
            "parametrizations.weight.original0": module.gain[:, None],
            "parametrizations.weight.original1": module.block.weight,
        }
    )
    torch.testing.assert_close(theirs(x), module(x))


@pytest.mark.parametrize(("block", "shape"), CASES, ids=["linear", "conv"])
def test_spectral_norm_converges_to_the_largest_singular_value(block: dict[str, Any], shape: Shape) -> None:
    module, alone, x = wrapped("spectral_norm", block, shape)
    weight = alone.weight.detach().clone().requires_grad_()
    largest = torch.linalg.matrix_norm(weight.flatten(1), ord=2)
    expected = called_with(alone, weight / largest, x)
    first = (module(x) - expected).abs().max()
    for _ in range(200):
        y = module(x)
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-5)
    assert first > 1e-3, "one step is not enough"
    torch.testing.assert_close(module.left.norm(), torch.tensor(1.0))
    # At convergence the gradient with constant singular vectors is that of the norm itself.
    (gradient,) = torch.autograd.grad(y.square().sum(), module.block.weight)
    (same,) = torch.autograd.grad(expected.square().sum(), weight)
    torch.testing.assert_close(gradient, same, rtol=1e-3, atol=1e-4)


def test_spectral_norm_keeps_its_estimate_in_training_alone_and_reads_its_direction_alone() -> None:
    module, alone, x = wrapped("spectral_norm", LINEAR, (8,))
    start = module.left.clone()
    quiet = module.eval()(x)
    assert torch.equal(module.left, start)
    torch.testing.assert_close(module.train()(x), quiet)
    assert not torch.equal(module.left, start)
    # One step by hand: v = W^T u, u = W v, sigma = |W v| with v of unit length.
    v = alone.weight.T @ start
    sigma = (alone.weight @ (v / v.norm())).norm()
    torch.testing.assert_close(quiet, called_with(alone, alone.weight / sigma, x))
    torch.testing.assert_close(module.left, alone.weight @ v / (alone.weight @ v).norm())
    expected = module.eval()(x)
    module.left.mul_(0.01)  # What averaging vectors that turn does to their length.
    torch.testing.assert_close(module(x), expected)
    more = wrapped("spectral_norm", LINEAR, (8,), iterations=2)[0]
    torch.testing.assert_close(more(x), expected)


def test_spectral_norm_survives_a_weight_of_zeros() -> None:
    module, _, x = wrapped("spectral_norm", LINEAR, (8,))
    kept = module.block.weight.detach().clone()
    with torch.no_grad():
        module.block.weight.zero_()
        torch.testing.assert_close(module(x), module.block.bias.expand(5, 6))
        module.block.weight.copy_(kept)
        module(x)
    assert torch.isfinite(module(x)).all() and module.left.norm().item() == pytest.approx(1.0)


def test_outlines_name_the_block_and_its_cost() -> None:
    for kind in ("weight_norm", "spectral_norm"):
        outline = parse({"kind": kind, "block": CONV}).outline((4, 7, 7))
        alone = parse(CONV).outline((4, 7, 7))
        assert outline.total_flops() == alone.total_flops() and outline.output == alone.output
        assert outline.count() == alone.count() + (6 if kind == "weight_norm" else 0)


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"kind": "relu"}, "expected a block with one weight, 'linear' or 'conv', got 'relu'"),
        ([LINEAR], "expected a block with one weight, 'linear' or 'conv', got 'sequence'"),
        ({**LINEAR, "weight": {"kind": "zeros"}}, "a weight that starts at 0 has no norm to divide by"),
        ({**CONV, "weight": {"kind": "constant", "value": 0.0}}, "a weight that starts at 0 has no norm to divide by"),
    ],
)
def test_other_blocks_are_refused(kind: str, block: object, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse({"kind": kind, "block": block})
    (error,) = caught.value.errors()
    assert error["loc"] == ("block",) and error["msg"] == message
    with pytest.raises(ShapeError) as refused:
        parse({"kind": kind, "block": CONV}).build((4,))
    assert refused.value.steps == ("block",)
