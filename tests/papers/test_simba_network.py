"""SimBa (arXiv:2410.09754): its published sizes by formula, its forward pass in plain numpy, its fresh weights.

Legend: d input, h width, L blocks, a action size. DeepMind Control's walker has 24 observations and 6 actions, its dog
223 and 38.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from composer.blueprint.syntax.nodes import annotate, plain
from composer.blueprint.syntax.parts import read_parts
from composer.blueprint.syntax.parts_expand import expand
from composer.networks.initialize import draw
from composer.networks.initializers import Orthogonal
from composer.networks.network import Network
from composer.spec.package_files import registry_root
from composer.spec.random_streams import derive

Array = NDArray[np.float64]
BLOCKS, TRUNKS = read_parts(registry_root() / "blocks"), read_parts(registry_root() / "networks")


def part(name: str, **parameters: Any) -> Any:
    """A part of the registry as a plain table."""
    tree, problems = expand(annotate({"use": name, **parameters}, {}, "test"), {**BLOCKS, **TRUNKS})
    assert not problems
    return plain(tree)


def network(trunk: Any, head: str) -> Network:
    return Network.model_validate({"trunk": trunk, "head": {"kind": head}})


def trunk_size(d: int, h: int, blocks: int) -> int:
    embedding = d * h + h
    block = 2 * h + (h * 4 * h + 4 * h) + (4 * h * h + h)
    return embedding + blocks * block + 2 * h


@pytest.mark.parametrize(("observations", "a"), [(24, 6), (223, 38)], ids=["walker", "dog"])
def test_published_sizes(observations: int, a: int) -> None:
    actor = network(part("simba", width=128, blocks=1), "tanh_gaussian").outline((observations,), a)
    assert actor.count() == trunk_size(observations, 128, 1) + 2 * (128 * a + a)
    critic = network(part("simba"), "scalar").outline((observations + a,), a)
    assert critic.count() == trunk_size(observations + a, 512, 2) + 512 + 1
    assert 4_200_000 < critic.count() - (observations + a) * 512 < 4_205_000
    assert actor.output == (a,) and critic.output == ()


def test_other_parts_sizes() -> None:
    post = network(part("simba_post", width=16, blocks=3, expansion=2), "scalar").outline((5,), 1)
    block = (16 * 32 + 32) + (32 * 16 + 16) + 2 * 16
    assert post.count() == (5 * 16 + 16) + 3 * block + 17
    mlp = network(part("mlp", width=16, depth=3), "scalar").outline((5,), 1)
    assert mlp.count() == (5 * 16 + 16) + 2 * (16 * 16 + 16) + 17
    drawn = {plan.initializer for path, plan in mlp.children["trunk"].named_parameters() if path.endswith("weight")}
    assert drawn == {Orthogonal(gain=math.sqrt(2.0))}


def test_initialisers_are_the_published_ones() -> None:
    outline = network(part("simba", width=8, blocks=1), "scalar").outline((5,), 1)
    kinds = {path: plan.initializer.kind for path, plan in outline.named_parameters()}
    assert kinds == {
        "trunk.0.weight": "orthogonal",
        "trunk.0.bias": "zeros",
        "trunk.1.0.block.0.weight": "ones",
        "trunk.1.0.block.0.bias": "zeros",
        "trunk.1.0.block.1.weight": "he_normal",
        "trunk.1.0.block.1.bias": "zeros",
        "trunk.1.0.block.3.weight": "he_normal",
        "trunk.1.0.block.3.bias": "zeros",
        "trunk.2.weight": "ones",
        "trunk.2.bias": "zeros",
        "head.linear.weight": "orthogonal",
        "head.linear.bias": "zeros",
    }


def numpy_layer_norm(x: Array, gain: Array, shift: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    normal: Array = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6) * gain + shift
    return normal


def numpy_trunk(x: Array, w: dict[str, Array], blocks: int) -> Array:
    x = x @ w["trunk.0.weight"].T + w["trunk.0.bias"]
    for index in range(blocks):
        b = {
            key: w[f"trunk.1.{index}.block.{key}"]
            for key in ("0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias")
        }
        hidden = numpy_layer_norm(x, b["0.weight"], b["0.bias"]) @ b["1.weight"].T + b["1.bias"]
        x = x + np.maximum(hidden, 0) @ b["3.weight"].T + b["3.bias"]
    return numpy_layer_norm(x, w["trunk.2.weight"], w["trunk.2.bias"])


@pytest.mark.parametrize("head", ["scalar", "tanh_gaussian", "deterministic_tanh"])
def test_forward_equals_plain_numpy(head: str) -> None:
    spec = network(part("simba", width=12, blocks=2), head)
    module = spec.build((5,), 3).double()
    source = np.random.default_rng(0)
    # Every parameter is random, biases and gains too: a fresh network would hide what zeros and ones hide.
    w = {path: source.normal(size=tuple(parameter.shape)) for path, parameter in module.named_parameters()}
    module.load_state_dict({path: torch.from_numpy(value) for path, value in w.items()})
    x = source.normal(size=(7, 5))
    features = numpy_trunk(x, w, blocks=2)
    linear = {
        name: features @ w[f"head.{name}.weight"].T + w[f"head.{name}.bias"]
        for name in ("linear", "mean", "log_std")
        if f"head.{name}.bias" in w
    }
    expected = {
        "scalar": lambda: (linear["linear"][:, 0],),
        "deterministic_tanh": lambda: (np.tanh(linear["linear"]),),
        "tanh_gaussian": lambda: (linear["mean"], -10 + 6 * (1 + np.tanh(linear["log_std"]))),
    }[head]()
    output = module(torch.from_numpy(x))
    got: tuple[Tensor, ...] = output if isinstance(output, tuple) else (output,)
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one.detach(), torch.from_numpy(other), rtol=1e-12, atol=1e-12)


def test_a_parameter_depends_on_its_own_path_alone() -> None:
    def fresh(blocks: int, head: str, seed: int = 0) -> dict[str, Tensor]:
        outline = network(part("simba", width=8, blocks=blocks), head).outline((5,), 3)
        return draw(outline, partial(derive, seed, "init"))

    one, two = fresh(1, "scalar"), fresh(2, "tanh_gaussian")
    shared = set(one) & set(two)
    assert len(shared) == 10
    assert all(one[path].equal(two[path]) for path in shared)
    assert not two["trunk.1.0.block.1.weight"].equal(two["trunk.1.1.block.1.weight"]), "copies differ"
    assert not two["head.mean.weight"].equal(two["head.log_std.weight"])
    assert not one["trunk.0.weight"].equal(fresh(1, "scalar", seed=1)["trunk.0.weight"])
    assert list(one) == [
        path for path, _ in network(part("simba", width=8, blocks=1), "scalar").build((5,), 3).named_parameters()
    ]


@pytest.mark.parametrize("name", ["simba", "simba_post"])
@pytest.mark.parametrize("width", [16, 256])
def test_fresh_features_have_unit_scale(name: str, width: int) -> None:
    spec = network(part(name, width=width, blocks=4), "scalar")
    module = spec.build((5,), 3)
    module.load_state_dict(draw(spec.outline((5,), 3), partial(derive, 0)))
    features = module.get_submodule("trunk")(torch.randn(64, 5, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(features.square().mean(-1), torch.ones(64), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "name",
    ["bro_block", "gate", "ngpt_mlp_block", "simba_block", "simba_block_post", "simba_v2_block", "simba_v2_hidden"],
)
def test_shipped_blocks_of_vectors_keep_their_width(name: str) -> None:
    assert network(part(name, width=32), "scalar").outline((32,), 1).children["trunk"].output == (32,)


@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("bro", 32),
        ("crelu_mlp", 64),
        ("fourier_mlp", 32),
        ("mlp", 32),
        ("simba", 32),
        ("simba_post", 32),
        ("simba_v2", 32),
    ],
)
def test_shipped_trunks_of_vectors_give_features_of_their_width(name: str, features: int) -> None:
    assert network(part(name, width=32), "scalar").outline((24,), 1).children["trunk"].output == (features,)
