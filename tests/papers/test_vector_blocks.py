"""Blocks on vectors and the ways to put blocks together, each against its formula written out in torch."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from composer.networks.blocks import Block
from composer.networks.blocks.base import MAX_WIDTH
from composer.networks.initialize import draw
from composer.networks.initializers import Constant
from composer.spec.random_streams import derive
from composer.spec.shape import Shape, ShapeError

BLOCKS: TypeAdapter[Block] = TypeAdapter(Block)


def parse(table: object) -> Block:
    return BLOCKS.validate_python(table)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def built(table: object, shape: Shape) -> tuple[nn.Module, dict[str, Tensor]]:
    """The module in float64, every parameter random: constants would hide what they multiply."""
    module = parse(table).build(shape).double()
    values = {path: random(*value.shape, seed=1 + i) for i, (path, value) in enumerate(module.named_parameters())}
    module.load_state_dict(values)
    return module, values


def test_mish_and_sigmoid() -> None:
    x = torch.linspace(-6, 6, 49, dtype=torch.float64)
    mish = torch.tensor([v * math.tanh(math.log(1 + math.exp(v))) for v in x.tolist()], dtype=torch.float64)
    torch.testing.assert_close(parse({"kind": "mish"}).build((49,))(x), mish)
    sigmoid = torch.tensor([1 / (1 + math.exp(-v)) for v in x.tolist()], dtype=torch.float64)
    torch.testing.assert_close(parse({"kind": "sigmoid"}).build((49,))(x), sigmoid)


@pytest.mark.parametrize(
    ("shape", "doubled", "axis"), [((4,), (8,), 1), ((3, 4), (3, 8), 2), ((3, 4, 5), (6, 4, 5), 1)], ids=str
)
def test_crelu_keeps_both_signs_side_by_side(shape: Shape, doubled: Shape, axis: int) -> None:
    block = parse({"kind": "crelu"})
    assert block.outline(shape).output == doubled
    x = random(2, *shape)
    y = block.build(shape)(x)
    positive, negative = y.split(shape[axis - 1], axis)
    assert (y >= 0).all() and not (positive * negative).any()
    assert torch.equal(positive - negative, x)


def test_fourier_features() -> None:
    module, values = built({"kind": "fourier_features", "frequencies": 5}, (3,))
    x = random(7, 3)
    angle = 2 * math.pi * (x @ values["frequencies"].T)
    torch.testing.assert_close(module(x), torch.cat([angle.cos(), angle.sin()], -1))


def test_inner_products_of_fourier_features_approximate_a_gaussian_kernel() -> None:
    """The point of Gaussian frequencies (Bochner): ``f(x) f(y) / m`` tends to ``exp(-2 (pi scale |x - y|)^2)``."""
    block = parse({"kind": "fourier_features", "frequencies": 20_000, "scale": 0.3})
    module = block.build((2,))
    module.load_state_dict(draw(block.outline((2,)), lambda path: derive(0, path)))
    x, y = torch.zeros(2), torch.tensor([0.3, -0.4])
    for reach in (0.5, 1.0, 2.0):
        kernel = math.exp(-2 * (math.pi * 0.3 * 0.5 * reach) ** 2)
        assert (module(x) @ module(y * reach)).item() / 20_000 == pytest.approx(kernel, abs=4 / 20_000**0.5)


def test_unit_norm_takes_the_direction_and_leaves_zeros() -> None:
    module = parse({"kind": "unit_norm"}).build((3,))
    x = torch.tensor([[3.0, 0.0, -4.0], [0.0, 0.0, 0.0], [1e-9, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    y = module(x)
    # Below 1e-8 the norm is not divided by, but 1e-8 is.
    torch.testing.assert_close(y.detach(), torch.tensor([[0.6, 0, -0.8], [0, 0, 0], [0.1, 0, 0]], dtype=torch.float64))
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert gradient.isfinite().all()
    torch.testing.assert_close(gradient[0] @ x[0], torch.zeros((), dtype=torch.float64))


def test_avg_l1_norm_gives_mean_magnitude_one_and_leaves_zeros() -> None:
    """N(x) of TD7, arXiv:2306.02451, Eq. 3."""
    module = parse({"kind": "avg_l1_norm"}).build((4,))
    x = torch.tensor([[1.0, -3.0, 0.0, 4.0], [0.0, 0.0, 0.0, 0.0]])
    assert module(x).tolist() == [[0.5, -1.5, 0.0, 2.0], [0.0] * 4]


def test_sim_norm_is_a_softmax_inside_each_group_of_consecutive_features() -> None:
    """Eq. 5 of TD-MPC2, arXiv:2310.16828; features 0 to 2 are a group, 3 to 5 the next."""
    x, found = random(2, 6), parse({"kind": "sim_norm", "group": 3}).build((6,))
    expected = torch.tensor([[math.exp(v) for v in row] for row in x.tolist()], dtype=torch.float64)
    for group in (slice(0, 3), slice(3, 6)):
        expected[:, group] /= expected[:, group].sum(-1, keepdim=True)
    torch.testing.assert_close(found(x), expected)
    with pytest.raises(ShapeError, match="7 features cannot be dealt into groups of 3"):
        parse({"kind": "sim_norm", "group": 3}).outline((7,))


def test_except_last_joins_its_block_to_what_passes() -> None:
    """The first entries go through the block, the last ones after them as they are."""
    block = parse({"kind": "except_last", "size": 2, "block": [{"kind": "scale", "factor": 10.0}, {"kind": "relu"}]})
    assert block.outline((5,)).output == (5,)
    assert block.build((5,))(torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0])).tolist() == [10.0, 0.0, 30.0, -4.0, 5.0]
    wider = {"kind": "except_last", "size": 2, "block": {"kind": "linear", "width": 7}}
    assert parse(wider).outline((5,)).output == (9,)
    for shape in ((2,), (3, 4)):
        with pytest.raises(ShapeError, match="takes a vector of more than 2 entries"):
            block.outline(shape)


def test_slice_takes_entries_of_a_vector() -> None:
    """From the first one, to the end, and between; refused where there are none."""
    x = torch.arange(10.0).view(2, 5)
    for keys, entries in (({"stop": 2}, [0, 1]), ({"start": 3}, [3, 4]), ({"start": 1, "stop": 4}, [1, 2, 3])):
        block = parse({"kind": "slice", **keys})
        assert block.build((5,))(x).tolist() == x[:, entries].tolist()
        assert block.outline((5,)).output == (len(entries),)
    for keys in ({"start": 3, "stop": 3}, {"stop": 6}, {"start": 5}):
        with pytest.raises(ShapeError, match="no entries from"):
            parse({"kind": "slice", **keys}).outline((5,))
    with pytest.raises(ShapeError, match=r"takes a vector; its input has shape \[5, 5\]"):
        parse({"kind": "slice"}).outline((5, 5))


def test_append_adds_one_constant_last() -> None:
    module = parse({"kind": "append", "value": 3.0}).build((2, 4))
    x = random(5, 2, 4)
    y = module(x)
    assert torch.equal(y[..., :4], x) and y.shape == (5, 2, 5) and (y[..., 4] == 3).all()


def test_a_scaler_starts_at_init_and_holds_scale() -> None:
    module, values = built({"kind": "scaler", "init": 0.5, "scale": 0.1}, (4,))
    x = random(6, 4)
    torch.testing.assert_close(module(x), x * values["scaler"] * 5.0)
    block = parse({"kind": "scaler", "init": 0.5, "scale": 0.1})
    assert block.outline((4,)).parameters["scaler"].initializer == Constant(value=0.1)
    torch.testing.assert_close(block.build((4,))(x.float()), 0.5 * x.float())


@pytest.mark.parametrize(("join", "expected"), [("sum", 5.0), ("mean", 2.5), ("multiply", 6.0)])
def test_entries_of_branches_are_joined(join: str, expected: float) -> None:
    branches = [{"kind": "scale", "factor": 2.0}, {"kind": "scale", "factor": 3.0}]
    module = parse({"kind": "parallel", "join": join, "branches": branches}).build((4,))
    x = torch.ones(2, 4)
    assert torch.equal(module(x), torch.full((2, 4), expected))


@pytest.mark.parametrize(
    ("shape", "widths", "joined"),
    [((4,), (2, 3), (5,)), ((3, 4), (2, 3), (3, 5))],
    ids=["vector", "tokens"],
)
def test_concatenation_joins_features(shape: Shape, widths: tuple[int, int], joined: Shape) -> None:
    branches = [{"kind": "linear", "width": width} for width in widths]
    table = {"kind": "parallel", "join": "concatenate", "branches": branches}
    assert parse(table).outline(shape).output == joined
    module, values = built(table, shape)
    x = random(6, *shape)
    parts = [x @ values[f"{i}.weight"].T + values[f"{i}.bias"] for i in range(2)]
    torch.testing.assert_close(module(x), torch.cat(parts, -1))


def test_images_are_concatenated_by_channel() -> None:
    table = {"kind": "parallel", "join": "concatenate", "branches": [{"kind": "crelu"}, {"kind": "identity"}]}
    block, x = parse(table), random(2, 3, 5, 5)
    assert block.outline((3, 5, 5)).output == (9, 5, 5)
    y = block.build((3, 5, 5))(x)
    assert torch.equal(y[:, 6:], x) and torch.equal(y[:, :3] - y[:, 3:6], x)


def test_a_projected_shortcut_is_a_sum_of_two_branches() -> None:
    """The residual block that changes its width (arXiv:1512.03385): ``W_s x + F(x)``."""
    branch = [{"kind": "linear", "width": 6}, {"kind": "relu"}, {"kind": "linear", "width": 6}]
    shortcut = {"kind": "linear", "width": 6, "bias": False}
    module, w = built({"kind": "parallel", "join": "sum", "branches": [shortcut, branch]}, (4,))
    x = random(5, 4)
    inner = (x @ w["1.0.weight"].T + w["1.0.bias"]).clamp(min=0) @ w["1.2.weight"].T + w["1.2.bias"]
    torch.testing.assert_close(module(x), x @ w["0.weight"].T + inner)


@pytest.mark.parametrize("magnitude", [False, True])
def test_lerp_residual_goes_part_of_the_way(magnitude: bool) -> None:
    table: dict[str, Any] = {"kind": "lerp_residual", "alpha_init": 0.5, "alpha_scale": 0.2, "magnitude": magnitude}
    module, values = built({**table, "block": {"kind": "linear", "expansion": 1}}, (8,))
    x, part = random(5, 8), values["alpha"] * 2.5
    part = part.abs() if magnitude else part
    assert (values["alpha"] < 0).any(), "or the magnitude would make no difference"
    target = x @ values["block.weight"].T + values["block.bias"]
    torch.testing.assert_close(module(x), (1 - part) * x + part * target)
    fresh = parse({**table, "block": {"kind": "scale", "factor": 0.0}}).build((8,)).double()
    torch.testing.assert_close(fresh(x), 0.5 * x, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("unit", "axis"), [("rows", 1), ("columns", 0)])
@pytest.mark.parametrize("width", [3, 12])
def test_hyperspherical_weights_are_drawn_onto_the_sphere(unit: str, axis: int, width: int) -> None:
    table = {
        "kind": "linear",
        "width": width,
        "weight": {"kind": "normal", "std": 3.0},
        "unit_norm": unit,
        "bias": False,
    }
    block = parse({**table, "bias": True})
    drawn = draw(block.outline((6,)), lambda path: derive(0, path))
    torch.testing.assert_close(drawn["weight"].norm(dim=axis), torch.ones(width if axis else 6))
    assert not drawn["bias"].any()
    module, values = built({**table, "bias": True}, (6,))
    x = random(5, 6)
    torch.testing.assert_close(module(x), x @ values["weight"].T + values["bias"])
    assert list(parse(table).outline((6,)).parameters) == ["weight"]


LINEAR: dict[str, Any] = {"kind": "linear", "width": 8}


@pytest.mark.parametrize(
    ("table", "shape", "steps", "message"),
    [
        (
            {"kind": "parallel", "join": "sum", "branches": [LINEAR, {"kind": "tanh"}]},
            (16,),
            ("branches", 1),
            "outputs to sum must have one shape: branch 0 ('linear') gives [8], branch 1 ('tanh') gives [16]",
        ),
        (
            {"kind": "parallel", "join": "concatenate", "branches": [LINEAR, {"kind": "flatten"}]},
            (3, 4),
            ("branches", 1),
            "outputs to concatenate must agree except in their features: "
            "branch 0 ('linear') gives [3, 8], branch 1 ('flatten') gives [12]",
        ),
        (
            {"kind": "parallel", "join": "mean", "branches": [LINEAR, [LINEAR, {"kind": "residual", "block": LINEAR}]]},
            (),
            ("branches", 0),
            "'linear' acts on the last axis, and its input is a scalar, shape []",
        ),
        (
            {"kind": "parallel", "join": "concatenate", "branches": [{"kind": "linear", "width": MAX_WIDTH}, LINEAR]},
            (4,),
            ("branches",),
            f"{MAX_WIDTH} + 8 = {MAX_WIDTH + 8} is wider than {MAX_WIDTH}",
        ),
        (
            {"kind": "repeat", "times": 99, "block": {"kind": "crelu"}},
            (16,),
            ("block",),
            f"2 x {MAX_WIDTH} = {2 * MAX_WIDTH} is wider than {MAX_WIDTH} (in copy 13 of 99)",
        ),
        ({"kind": "append", "value": 1.0}, (MAX_WIDTH,), (), f"{MAX_WIDTH} + 1 = 65537 is wider than {MAX_WIDTH}"),
        (
            {"kind": "linear", "expansion": 64, "unit_norm": "rows", "bias": False},
            (2048,),
            ("expansion",),
            f"64 x 2048 = 131072 is wider than {MAX_WIDTH}",
        ),
        (
            {"kind": "lerp_residual", "alpha_init": 0.5, "block": LINEAR},
            (16,),
            ("block",),
            "a residual block must keep its shape: its input is [16], its output [8]"
            '; end the block with { kind = "linear", width = 16 }',
        ),
        (
            {
                "kind": "frozen",
                "block": {
                    "kind": "detached",
                    "block": [LINEAR, {"kind": "residual", "block": [LINEAR, {"kind": "crelu"}]}],
                },
            },
            (4,),
            ("block", "block", "layers", 1, "block"),
            "a residual block must keep its shape: its input is [8], its output [16]"
            '; end the block with { kind = "linear", width = 8 }',
        ),
    ],
)
def test_shape_errors_lead_to_the_key(table: object, shape: Shape, steps: tuple[str | int, ...], message: str) -> None:
    block = parse(table)
    for method in (block.outline, block.build):
        with pytest.raises(ShapeError) as caught:
            method(shape)
        assert (caught.value.steps, caught.value.message) == (steps, message)


@pytest.mark.parametrize(
    ("table", "where", "message"),
    [
        ({"kind": "parallel", "join": "sum", "branches": []}, ("branches",), "needs at least one branch"),
        ({"kind": "parallel", "join": "add", "branches": [LINEAR]}, ("join",), "'sum', 'mean', 'multiply'"),
        ({"kind": "parallel", "branches": [LINEAR]}, ("join",), "required"),
        ({"kind": "dropout", "rate": 1.0}, ("rate",), "less than 1"),
        (
            {"kind": "linear", "unit_norm": "rows", "bias": False},
            (),
            "give exactly one of 'width' and 'expansion'; got neither",
        ),
        ({"kind": "lerp_residual", "alpha_init": 0.0, "block": LINEAR}, ("alpha_init",), "greater than 0"),
        ({"kind": "scaler", "init": 1.0, "scale": 0.0}, ("scale",), "greater than 0"),
        ({"kind": "fourier_features", "frequencies": MAX_WIDTH}, ("frequencies",), "less than or equal to 32768"),
    ],
)
def test_values_out_of_bounds_are_refused(table: object, where: tuple[str | int, ...], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse(table)
    (error,) = caught.value.errors()
    assert error["loc"] == where
    assert message in error["msg"]
