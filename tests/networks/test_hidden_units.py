"""Which units can be made new alone, told from outlines: what each reads, and what reads it."""

from __future__ import annotations

from typing import Any

import pytest
from fresh_blocks import parse, part
from pydantic import TypeAdapter

from composer.networks.blocks import Block
from composer.networks.heads import Head
from composer.networks.hidden_units import HiddenLayer, hidden_layers
from composer.networks.outline import Outline
from composer.spec.shape import Shape

HEADS: TypeAdapter[Head] = TypeAdapter(Head)
SCALAR = {"kind": "scalar"}
RELU, NORM, FLATTEN = {"kind": "relu"}, {"kind": "layer_norm"}, {"kind": "flatten"}


def dense(width: int, **keys: Any) -> dict[str, Any]:
    return {"kind": "linear", "width": width, **keys}


def conv(width: int, **keys: Any) -> dict[str, Any]:
    return {"kind": "conv", "width": width, "kernel": 3, "padding": "same", **keys}


def network(trunk: Any, shape: Shape = (6,), head: dict[str, Any] = SCALAR) -> Outline:
    """A trunk, given as tables or as a block, and a head for three actions."""
    block = parse(trunk) if isinstance(trunk, list | dict) else trunk
    first = block.outline(shape)
    last = HEADS.validate_python(head).outline(first.output, 3)
    return Outline("network", shape, last.output, children={"trunk": first, "head": last})


def found(outline: Outline) -> dict[str, HiddenLayer]:
    return {layer.path: layer for layer in hidden_layers(outline)}


def links(outline: Outline) -> dict[str, list[tuple[str, int]]]:
    """By path of a layer: who reads its units, and how many inputs each unit has there."""
    return {path: [(r.path, r.entries) for r in layer.readers] for path, layer in found(outline).items()}


def test_a_perceptron_has_units_in_every_layer_but_the_last() -> None:
    outline = network([dense(8), RELU, dense(5, bias=False), NORM, {"kind": "tanh"}, {"kind": "dropout", "rate": 0.1}])
    layers = found(outline)
    assert links(outline) == {"trunk.0": [("trunk.2", 1)], "trunk.2": [("head.linear", 1)]}
    first, second = layers["trunk.0"], layers["trunk.2"]
    assert (first.units, first.bias, first.gains, first.activation.path, first.axis) == (
        8,
        "trunk.0.bias",
        (),
        "trunk.1",
        -1,
    )
    assert (second.units, second.bias) == (5, None)
    assert [gain.path for gain in second.gains] == ["trunk.3.weight", "trunk.3.bias"]
    assert second.activation.path == "trunk.4"
    assert second.parameters() == ["trunk.2.weight", "trunk.3.weight", "trunk.3.bias", "head.linear.weight"]


def test_a_channel_is_a_unit_and_has_neighbours_behind_a_flatten() -> None:
    outline = network([conv(4), RELU, conv(5), RELU, FLATTEN, dense(7), RELU], (2, 3, 3))
    assert links(outline) == {
        "trunk.0": [("trunk.2", 1)],
        "trunk.2": [("trunk.5", 9)],
        "trunk.5": [("head.linear", 1)],
    }
    assert found(outline)["trunk.2"].axis == -3
    late = found(network([conv(5), FLATTEN, NORM, RELU], (2, 3, 3)))["trunk.0"]
    assert late.activation == ("trunk.3", 9) and late.axis == -1
    assert late.gains == (("trunk.2.weight", 9), ("trunk.2.bias", 9))


@pytest.mark.parametrize(
    ("pool", "entries"), [({"kind": "max_pool", "kernel": 2}, 4), ({"kind": "global_average_pool"}, 1)]
)
def test_pools_keep_channels_apart(pool: dict[str, Any], entries: int) -> None:
    outline = network([conv(5), {"kind": "batch_norm"}, RELU, pool, FLATTEN], (2, 4, 4))
    assert links(outline) == {"trunk.0": [("head.linear", entries)]}


def test_in_a_residual_network_only_units_inside_branches_count() -> None:
    simba = links(network(part("simba", width=8, blocks=2)))
    assert simba == {
        "trunk.1.0.block.1": [("trunk.1.0.block.3", 1)],
        "trunk.1.1.block.1": [("trunk.1.1.block.3", 1)],
    }
    impala = links(network(part("impala", width=4), (4, 20, 20)))
    # The first convolution of each residual pair, and the dense layer: as in ReDo's published code.
    *pairs, (_, readers) = impala.items()
    assert len(pairs) == 6 and readers == [("head.linear", 1)]
    assert all(path.endswith("block.1") and by == [(f"{path[:-1]}3", 1)] for path, by in pairs)


def test_several_layers_may_read_a_unit() -> None:
    gaussian = network([dense(8), RELU], head={"kind": "tanh_gaussian"})
    assert links(gaussian) == {"trunk.0": [("head.mean", 1), ("head.log_std", 1)]}
    dueling = network(
        [dense(8), RELU], head={"kind": "dueling", "hidden": [dense(4), RELU], "head": {"kind": "discrete_value"}}
    )
    assert links(dueling) == {
        "trunk.0": [("head.value.0.0", 1), ("head.advantage.0.0", 1)],
        "head.value.0.0": [("head.value.1.linear", 1)],
        "head.advantage.0.0": [("head.advantage.1.linear", 1)],
    }


@pytest.mark.parametrize(
    ("trunk", "shape", "head"),
    [
        pytest.param([dense(8)], (6,), SCALAR, id="no activation"),
        pytest.param([dense(8), {"kind": "crelu"}], (6,), SCALAR, id="two entries that are no neighbours"),
        pytest.param(
            [{"kind": "linear", "width": 8, "unit_norm": "columns", "bias": False}, RELU],
            (6,),
            SCALAR,
            id="unit columns",
        ),
        pytest.param([{"kind": "weight_norm", "block": dense(8)}, RELU], (6,), SCALAR, id="a weight made of others"),
        pytest.param([{"kind": "frozen", "block": dense(8)}, RELU], (6,), SCALAR, id="frozen"),
        pytest.param([dense(8), RELU], (6,), {"kind": "implicit_quantile"}, id="multiplied"),
        pytest.param(
            [dense(8), RELU, {"kind": "parallel", "join": "sum", "branches": [dense(8), {"kind": "identity"}]}],
            (6,),
            SCALAR,
            id="read by a weight and by a sum",
        ),
        pytest.param(
            [
                dense(8),
                RELU,
                {"kind": "parallel", "join": "sum", "branches": [dense(8), {"kind": "residual", "block": dense(8)}]},
            ],
            (6,),
            SCALAR,
            id="read by a weight and by the sum of a residual block",
        ),
        pytest.param(
            [dense(8), {"kind": "parallel", "join": "multiply", "branches": [[RELU, dense(8)], dense(8)]}],
            (6,),
            SCALAR,
            id="read before and after an activation",
        ),
        pytest.param([dense(8), RELU, FLATTEN], (5, 6), SCALAR, id="tokens behind a flatten"),
        pytest.param([conv(3), NORM, RELU, FLATTEN], (2, 3, 3), SCALAR, id="a norm of an image's last axis"),
        pytest.param([dense(8), RELU, FLATTEN], (2, 3, 3), SCALAR, id="a dense layer on an image's last axis"),
        pytest.param(
            [conv(4), RELU, conv(4, groups=2), {"kind": "sigmoid"}, {"kind": "global_average_pool"}, NORM, dense(3)],
            (2, 3, 3),
            SCALAR,
            id="groups",
        ),
    ],
)
def test_what_has_no_units_of_its_own(trunk: list[Any], shape: Shape, head: dict[str, Any]) -> None:
    assert not [path for path in links(network(trunk, shape, head)) if path.startswith("trunk.0")]


NORMS = [None, *(kind for kind, block in Block.kinds().items() if block.units == "keeps" and block.normalises)]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", [kind for kind, block in Block.kinds().items() if block.units == "makes"])
def test_every_layer_of_weights_has_units_before_every_norm(kind: str, norm: str | None) -> None:
    """What kinds declare is enough: but where a norm acts on the last axis of an image, which holds no units."""
    block = Block.kinds()[kind]
    image = block.axis == -3
    layer = {**block.example, "width": 8} | ({"padding": "same"} if image else {})
    groups = {"group": 2} if norm == "sim_norm" else {}  # The last axis of the second image is 2 long.
    between = [] if norm is None else [{**Block.kinds()[norm].example, **groups}]
    trunk = [layer, *between, RELU, layer, *between, RELU, *([FLATTEN] if image else [])]
    layers = found(network(trunk, (2, 8, 8) if image else (6,)))
    if image and norm is not None and Block.kinds()[norm].axis == -1:
        assert not layers
        return
    outline = parse(layer).outline((2, 8, 8) if image else (6,))
    second = f"trunk.{len(between) + 2}"
    assert list(layers) == ["trunk.0", second]
    first = layers["trunk.0"]
    assert {*first.weights, *first.vectors} == {f"trunk.0.{name}" for name in outline.parameters}
    gains = parse(between[0]).outline(outline.output).parameters if between else {}
    assert [gain.path for gain in first.gains] == [f"trunk.1.{name}" for name in gains]
    assert [reader.path for reader in first.readers] == [second]


def test_all_weights_of_a_noisy_layer_read_units() -> None:
    layer = found(network([dense(8), RELU, {"kind": "noisy_linear", "width": 5}, RELU]))["trunk.2"]
    assert layer.weights == ("trunk.2.weight", "trunk.2.weight_sigma")
    assert layer.vectors == ("trunk.2.bias", "trunk.2.bias_sigma") and layer.bias == "trunk.2.bias"
    (reader,) = found(network([dense(8), RELU, {"kind": "noisy_linear", "width": 5}]))["trunk.0"].readers
    assert reader.weights == layer.weights and reader.bias == layer.bias


def test_a_head_of_unit_norm_reads_units() -> None:
    assert links(network([dense(8), RELU], head={"kind": "scalar", "unit_norm": True})) == {
        "trunk.0": [("head.linear", 1)]
    }
