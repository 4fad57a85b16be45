"""Published networks on vectors, composed in TOML, against plain numpy: SimbaV2, half of nGPT's block, BroNet, gates.

Every parameter is random, those that start as constants too: a fresh network would hide what ones and zeros hide.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import Tensor, nn

from composer.blueprint.syntax.nodes import annotate, plain
from composer.blueprint.syntax.parts_expand import expand
from composer.networks.blocks import Block
from composer.networks.initialize import draw
from composer.networks.initializers import Ones, Orthogonal, Zeros
from composer.networks.modules.skip import LerpSkip
from composer.networks.network import Network
from composer.spec.random_streams import derive
from composer.spec.shape import Shape

Array = NDArray[np.float64]


def part(name: str, **parameters: Any) -> Any:
    """A part of the registry as a plain table."""
    tree, problems = expand(annotate({"use": name, **parameters}, {}, "test"))
    assert not problems
    return plain(tree)


def block(table: Any) -> Block:
    return TypeAdapter[Block](Block).validate_python(table)


def filled(module: nn.Module) -> dict[str, Array]:
    """The module's parameters, all drawn anew, as float64 arrays by path."""
    source = np.random.default_rng(0)
    drawn = {path: source.normal(size=tuple(parameter.shape)) for path, parameter in module.named_parameters()}
    module.double().load_state_dict({path: torch.from_numpy(value) for path, value in drawn.items()})
    return drawn


def compare(table: Any, shape: Shape, formula: Any) -> None:
    """The built block gives what ``formula`` of its parameters and an input gives."""
    module = block(table).build(shape)
    weights = filled(module)
    x = np.random.default_rng(1).normal(size=(7, *shape))
    expected = torch.from_numpy(formula(x, weights))
    torch.testing.assert_close(module(torch.from_numpy(x)).detach(), expected, rtol=1e-10, atol=1e-12)


def sphere(x: Array) -> Array:
    unit: Array = x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-8)
    return unit


def sigmoid(x: Array) -> Array:
    value: Array = 1 / (1 + np.exp(-x))
    return value


def layer_norm(x: Array, gain: Array, shift: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    normal: Array = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6) * gain + shift
    return normal


def simba_v2_trunk(x: Array, w: dict[str, Array], blocks: int, rate: float, prefix: str = "") -> Array:
    """``rate`` is alpha's first value over its scale; the scalers' ratio is 1."""
    h = sphere(np.concatenate([x, np.full((len(x), 1), 3.0)], -1))
    h = sphere(h @ w[f"{prefix}2.weight"].T * w[f"{prefix}3.scaler"])
    for index in range(blocks):
        b = f"{prefix}5.{index}.0."
        inner = h @ w[f"{b}block.0.weight"].T * w[f"{b}block.1.scaler"]
        u = sphere((np.maximum(inner, 0) + 1e-8) @ w[f"{b}block.4.weight"].T)
        h = sphere(h + w[f"{b}alpha"] * rate * (u - h))
    return h


def test_simba_v2() -> None:
    table = part("simba_v2", width=6, blocks=3, expansion=2, alpha_init=0.25, alpha_scale=0.4)
    compare(table, (4,), lambda x, w: simba_v2_trunk(x, w, blocks=3, rate=0.25 / 0.4))


def test_simba_v2_with_its_heads() -> None:
    """Mean and deviation have two layers each; a critic's last two are its trunk's end and its head."""
    trunk, hidden = (
        part("simba_v2", width=6, blocks=1, alpha_init=0.5, alpha_scale=0.5),
        part("simba_v2_hidden", width=6),
    )
    head: dict[str, Any] = {"kind": "tanh_gaussian", "unit_norm": True, "hidden": hidden}
    actor = Network.model_validate({"trunk": trunk, "head": head})
    module = actor.build((4,), 2)
    w = filled(module)
    x = np.random.default_rng(1).normal(size=(7, 4))
    h = simba_v2_trunk(x, w, blocks=1, rate=1.0, prefix="trunk.")
    mean, log_std = (
        h @ w[f"head.{name}.0.0.weight"].T * w[f"head.{name}.0.1.scaler"] @ w[f"head.{name}.1.weight"].T
        + w[f"head.{name}.1.bias"]
        for name in ("mean", "log_std")
    )
    for got, expected in zip(module(torch.from_numpy(x)), (mean, -10 + 6 * (1 + np.tanh(log_std))), strict=True):
        torch.testing.assert_close(got.detach(), torch.from_numpy(expected), rtol=1e-10, atol=1e-12)
    critic = Network.model_validate(
        {"trunk": [*trunk["layers"], hidden], "head": {"kind": "scalar", "unit_norm": True}}
    )
    for network in (actor, critic):
        plans = dict(network.outline((4,), 2).named_parameters())
        on_sphere = {path for path, plan in plans.items() if plan.unit_axis is not None}
        assert on_sphere == {path for path, plan in plans.items() if len(plan.shape) == 2}


def test_ngpt_feed_forward_half() -> None:
    d = 4

    def formula(x: Array, w: dict[str, Array]) -> Array:
        b = "0.block."
        u = x @ w[f"{b}0.0.0.weight"].T * w[f"{b}0.0.1.scaler"] * math.sqrt(d)
        v = x @ w[f"{b}0.1.0.weight"].T * w[f"{b}0.1.1.scaler"] * math.sqrt(d)
        out = sphere((u * v * sigmoid(v)) @ w[f"{b}1.weight"].T)
        return sphere(x + np.abs(w["0.alpha"] * 0.05 / 0.5) * (out - x))

    table = part("ngpt_mlp_block", width=d, gate_scaler=math.sqrt(d), alpha_scale=1 / math.sqrt(d))
    compare(table, (d,), formula)
    compare(table, (3, d), formula)
    axes = {path: plan.unit_axis for path, plan in block(table).outline((d,)).named_parameters() if plan.unit_axis}
    assert axes == {"0.block.0.0.0.weight": -1, "0.block.0.1.0.weight": -1, "0.block.1.weight": -2}


def test_bro() -> None:
    def formula(x: Array, w: dict[str, Array]) -> Array:
        def dense_norm(x: Array, dense: str, norm: str) -> Array:
            return layer_norm(x @ w[f"{dense}.weight"].T + w[f"{dense}.bias"], w[f"{norm}.weight"], w[f"{norm}.bias"])

        h = np.maximum(dense_norm(x, "0", "1"), 0)
        for index in range(2):
            b = f"3.{index}.block."
            h = h + dense_norm(np.maximum(dense_norm(h, f"{b}0", f"{b}1"), 0), f"{b}3", f"{b}4")
        return h

    compare(part("bro", width=6), (4,), formula)
    drawn = {plan.initializer for _, plan in block(part("bro")).outline((4,)).named_parameters()}
    assert drawn == {Orthogonal(gain=math.sqrt(2)), Zeros(), Ones()}


def test_gate_and_swiglu() -> None:
    def glu(x: Array, w: dict[str, Array]) -> Array:
        value: Array = sigmoid(x @ w["0.0.weight"].T + w["0.0.bias"]) * (x @ w["1.weight"].T + w["1.bias"])
        return value

    def swiglu(x: Array, w: dict[str, Array]) -> Array:
        gate = x @ w["0.0.0.weight"].T
        value: Array = (gate * sigmoid(gate) * (x @ w["0.1.weight"].T)) @ w["1.weight"].T
        return value

    compare(part("gate", width=5), (4,), glu)
    compare(part("swiglu", width=4, hidden=6), (3, 4), swiglu)


def test_crelu_fourier_and_hadamard_perceptrons() -> None:
    def crelu(x: Array, w: dict[str, Array]) -> Array:
        for index in range(2):
            z = x @ w[f"{index}.0.weight"].T + w[f"{index}.0.bias"]
            x = np.concatenate([np.maximum(z, 0), np.maximum(-z, 0)], -1)
        return x

    def fourier(x: Array, w: dict[str, Array]) -> Array:
        angle = 2 * np.pi * x @ w["0.frequencies"].T
        x = np.concatenate([np.cos(angle), np.sin(angle)], -1)
        for index in range(2):
            x = np.maximum(x @ w[f"1.{index}.0.weight"].T + w[f"1.{index}.0.bias"], 0)
        return x

    def deep_fourier(x: Array, w: dict[str, Array]) -> Array:
        for index in range(2):
            z = x @ w[f"{index}.0.weight"].T + w[f"{index}.0.bias"]
            x = np.concatenate([np.sin(z), np.cos(z)], -1)
        return x

    def hadamard(x: Array, w: dict[str, Array]) -> Array:
        for index in range(2):
            factors = [np.tanh(x @ w[f"{index}.{b}.0.weight"].T + w[f"{index}.{b}.0.bias"]) for b in range(2)]
            x = factors[0] * factors[1]
        return x

    compare(part("crelu_mlp", width=5), (4,), crelu)
    compare(part("deep_fourier_mlp", width=5), (4,), deep_fourier)
    compare(part("hadamard_mlp", width=5), (4,), hadamard)
    compare(part("fourier_mlp", width=5, frequencies=3), (4,), fourier)


@pytest.mark.parametrize(("width", "blocks"), [(512, 2), (128, 1)], ids=["critic", "actor"])
def test_a_fresh_simba_v2_is_on_the_sphere_with_the_published_scales(width: int, blocks: int) -> None:
    scales = {
        "embed_scaler": math.sqrt(2 / width),
        "block_scaler": math.sqrt(2 / (4 * width)),
        "alpha_init": 1 / (blocks + 1),
        "alpha_scale": 1 / math.sqrt(width),
    }
    named = {} if width == 512 else {"width": width, "blocks": blocks, **scales}
    trunk = block(part("simba_v2", **named))
    outline = trunk.outline((17,))
    first = draw(outline, partial(derive, 0))
    assert len([path for path in first if path.endswith("alpha")]) == blocks
    for path, value in first.items():
        if path.endswith("weight"):
            torch.testing.assert_close(value.norm(dim=1), torch.ones(len(value)))
        else:
            scale = "alpha_scale" if path.endswith("alpha") else "block_scaler" if ".block." in path else "embed_scaler"
            torch.testing.assert_close(value, torch.full_like(value, scales[scale]), rtol=1e-7, atol=0)
    module = trunk.build((17,))
    module.load_state_dict(first)
    x = 100 * torch.randn(64, 17, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(module(x).norm(dim=-1), torch.ones(64))
    ratios = [layer.ratio for layer in module.modules() if isinstance(layer, LerpSkip)]
    assert ratios == [pytest.approx(scales["alpha_init"] / scales["alpha_scale"])] * blocks


def test_appending_a_constant_keeps_the_length_of_the_input() -> None:
    """Without it, an input and its double would be one (SimbaV2's reason for it)."""
    trunk = block(part("simba_v2", width=16, blocks=1))
    module = trunk.build((5,))
    module.load_state_dict(draw(trunk.outline((5,)), partial(derive, 0)))
    x = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    apart: Tensor = (module(x) - module(2 * x)).norm(dim=-1)
    assert (apart > 0.05).all()
