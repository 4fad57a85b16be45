"""Blocks that read earlier outputs by name: what they compute, what is refused, and what reads them as a network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fresh_blocks import fresh, parse, part
from torch import Tensor
from torch.nn import functional

from composer.blueprint.inspect.diagram.layout import network
from composer.blueprint.inspect.diagram.sketch import Box, Join, Wire
from composer.networks.blocks.base import MAX_BLOCKS
from composer.networks.hidden_units import hidden_layers
from composer.networks.outline import Outline
from composer.spec.shape import ShapeError

RELU = {"kind": "relu"}


def dense(width: int) -> dict[str, Any]:
    return {"kind": "linear", "width": width}


def stages(*tables: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "wired", "stages": list(tables)}


def test_a_multi_skip_trunk_adds_its_features_after_every_block() -> None:
    """Castanyer et al., arXiv:2506.15544, as their code writes it: ``x = x + f(x) + g``, ``g`` the first layer."""
    module = fresh(part("multi_skip", width=6, depth=3), (4,)).double()
    values = iter([value.detach() for value in module.parameters()])

    def dense_norm(x: Tensor) -> Tensor:
        x = functional.linear(x, next(values), next(values))
        return functional.layer_norm(x, (6,), next(values), next(values), 1e-6)

    x = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    features = dense_norm(x)
    expected = features
    for _ in range(3):
        expected = expected + dense_norm(dense_norm(expected.relu()).relu()) + features
    torch.testing.assert_close(module(x).detach(), expected, rtol=1e-12, atol=1e-12)


def test_a_block_reads_any_earlier_output_and_joins_others_in_the_order_of_their_names() -> None:
    block = parse(
        stages(
            {"name": "a", "block": dense(3)},
            {"name": "b", "reads": "input", "block": dense(3)},
            {"reads": "a", "block": RELU, "joins": ["b", "input"], "join": "concatenate"},
        )
    )
    module, x = fresh(block, (4,)), torch.randn(5, 4)
    first, second = (functional.linear(x, module[at].weight, module[at].bias) for at in (0, 1))
    torch.testing.assert_close(module(x), torch.cat([first.relu(), second, x], -1))
    outline = block.outline((4,))
    assert outline.output == (10,) and outline.total_flops() == 2 * (2 * 4 * 3 + 3) + 3
    assert [wire.text for wire in outline.wires.values()] == [
        "called a",
        "reads input; called b",
        "reads a; concatenate with b, input",
    ]


@pytest.mark.parametrize(
    ("tables", "steps", "message"),
    [
        ([{"reads": "inputs"}], (0, "reads"), "no output is called 'inputs'; did you mean 'input'?"),
        (
            [{"block": RELU, "joins": ["b"]}, {"name": "b"}],
            (0, "joins", 0),
            "'b' is the output of stage 1, and only outputs of earlier stages can be read: there are no cycles",
        ),
        ([{"name": "a", "reads": "a"}], (0, "reads"), "'a' is the output of stage 0, and only outputs of earlier"),
        ([{"name": "a"}, {"name": "a"}], (1, "name"), "two outputs are called 'a'"),
        ([{"name": "input"}], (0, "name"), "two outputs are called 'input'"),
        (
            [{"block": dense(3), "joins": ["input"]}],
            (0, "joins", 0),
            "outputs to sum must have one shape: the block ('linear') gives [3], 'input' gives [4]",
        ),
        ([{"block": dense(3)}, {"reads": "input", "block": dense(2)}], (0,), "no later stage reads this output"),
        (
            [{"name": "a", "block": dense(3)}, {"block": {"kind": "detached", "block": dense(3)}}],
            (0,),
            "no gradient reaches this block, so that it would never be trained",
        ),
    ],
)
def test_what_does_not_fit_is_refused_at_its_key(tables: Any, steps: tuple[str | int, ...], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        parse(stages(*tables)).outline((4,))
    assert caught.value.steps == ("stages", *steps)
    assert caught.value.message.startswith(message)


def test_nested_copies_are_stopped_before_they_grow() -> None:
    table: dict[str, Any] = RELU
    for _ in range(6):
        table = stages({"times": 256, "block": table})
    with pytest.raises(ShapeError, match=f"limit {MAX_BLOCKS:,}"):
        parse(table).outline((4,))


def test_a_changed_copy_is_a_stage_of_its_own() -> None:
    block = parse(stages({"name": "a", "times": 2, "block": dense(4), "joins": ["input"]}, {"joins": ["a"]}))
    changed = block.with_child("1", lambda old: old.widened(4).model_copy(update={"bias": False}))
    assert changed is not None
    outline = changed.outline((4,))
    assert [name for name, _ in outline.named_parameters()] == ["0.weight", "0.bias", "1.weight"]
    assert outline.wires["2"] == block.outline((4,)).wires["2"]


def test_units_are_found_where_only_weights_read_them() -> None:
    trunk = parse(
        stages(
            {"name": "a", "block": [dense(5), RELU]},
            {"name": "b", "block": [dense(6), RELU]},
            {"reads": "a", "block": [dense(6), RELU], "joins": ["b"]},
            {"block": [dense(7), RELU]},
        )
    ).outline((4,))
    head = parse([dense(1)]).outline((7,))
    outline = Outline("network", (4,), (1,), children={"trunk": trunk, "head": head})
    layers = {layer.path: layer for layer in hidden_layers(outline)}
    assert {path: [reader.path for reader in layer.readers] for path, layer in layers.items()} == {
        "trunk.0.0": ["trunk.1.0", "trunk.2.0"],
        "trunk.3.0": ["head.0"],
    }


def test_a_figure_leads_every_named_output_to_its_readers() -> None:
    outline = part("multi_skip", width=6, depth=2).outline((4,))
    head = parse(dense(1)).outline((6,))
    drawn = network(Outline("network", (4,), (1,), children={"trunk": outline, "head": head}))
    boxes, joins = ([each for each in drawn.elements if isinstance(each, kind)] for kind in (Box, Join))
    assert len(boxes) == 2 + 2 * 6 + 1
    assert [join.sign for join in joins] == ["+"] * 4, "a residual's and a joined output's, twice"
    starts = [each.points[0] for each in drawn.elements if isinstance(each, Wire) and len(each.points) == 4]
    assert len(starts) == 4 and len(set(starts)) == 3, "both joined outputs begin where the features end"
