"""Any nest of blocks, not only the examples: outline and module agree, or both refuse with the same error."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import Tensor
from torch.func import functional_call

from composer.networks.blocks import Block
from composer.networks.initialize import draw, draw_buffers
from composer.spec.random_streams import derive
from composer.spec.shape import ShapeError

BLOCKS: TypeAdapter[Block] = TypeAdapter(Block)

leaves = st.one_of(
    st.builds(
        lambda width, bias: {"kind": "linear", "width": width, "bias": bias}, st.sampled_from([2, 4]), st.booleans()
    ),
    st.builds(lambda factor: {"kind": "linear", "expansion": factor}, st.integers(1, 3)),
    st.builds(
        lambda kind, affine: {"kind": kind, "affine": affine},
        st.sampled_from(["layer_norm", "rms_norm"]),
        st.booleans(),
    ),
    st.builds(lambda value: {"kind": "append", "value": value}, st.sampled_from([0.0, 3.0])),
    st.builds(lambda rate: {"kind": "dropout", "rate": rate}, st.sampled_from([0.0, 0.5])),
    st.builds(lambda init: {"kind": "scaler", "init": init}, st.sampled_from([0.5, 2.0])),
    st.builds(
        lambda unit: {"kind": "linear", "width": 4, "unit_norm": unit, "bias": False},
        st.sampled_from(["rows", "columns"]),
    ),
    st.builds(
        lambda m, trainable: {"kind": "fourier_features", "frequencies": m, "trainable": trainable},
        st.sampled_from([1, 2]),
        st.booleans(),
    ),
    st.builds(
        lambda kind: {"kind": kind},
        st.sampled_from(["relu", "gelu", "silu", "tanh", "elu", "mish", "sigmoid", "crelu", "unit_norm", "identity"]),
    ),
)
trees: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3),
        st.builds(
            lambda kind, block: {"kind": kind, "block": block},
            st.sampled_from(["residual", "frozen", "detached"]),
            inner,
        ),
        st.builds(lambda block: {"kind": "lerp_residual", "block": block, "alpha_init": 0.5}, inner),
        st.builds(
            lambda join, branches: {"kind": "parallel", "join": join, "branches": branches},
            st.sampled_from(["sum", "mean", "multiply", "concatenate"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.builds(lambda block, times: {"kind": "repeat", "times": times, "block": block}, inner, st.integers(0, 3)),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(table=trees, shape=st.sampled_from([(2,), (4,), (3, 4)]))
def test_outline_and_module_agree_or_refuse_alike(table: Any, shape: tuple[int, ...]) -> None:
    block = BLOCKS.validate_python(table)
    assert BLOCKS.validate_python(BLOCKS.dump_python(block)) == block
    try:
        outline = block.outline(shape)
    except ShapeError as refused:
        with pytest.raises(ShapeError) as caught:
            block.build(shape)
        assert (caught.value.message, caught.value.steps) == (refused.message, refused.steps)
        return
    with torch.device("meta"):
        module = block.build(shape)
    planned = [(path, plan.shape) for path, plan in outline.named_parameters()]
    assert planned == [(path, tuple(parameter.shape)) for path, parameter in module.named_parameters()]
    x = torch.empty(5, *shape, device="meta")
    assert tuple(module(x).shape) == (5, *outline.output)
    # A child's path in the outline names the module that it describes.
    for name, child in outline.children.items():
        assert tuple(module.get_submodule(name)(torch.empty(5, *child.input, device="meta")).shape) == (
            5,
            *child.output,
        )


@settings(max_examples=100, deadline=None, derandomize=True)
@given(table=trees, shape=st.sampled_from([(4,), (3, 4)]))
def test_gradients_reach_whatever_is_to_be_trained(table: Any, shape: tuple[int, ...]) -> None:
    block = BLOCKS.validate_python(table)
    try:
        outline = block.outline(shape)
    except ShapeError:
        assume(False)
    module = block.build(shape)
    trained = {path for path, plan in outline.named_parameters() if plan.trainable}
    assert trained == {path for path, value in module.named_parameters() if value.requires_grad}
    x = torch.ones(2, *shape, requires_grad=True)
    y = module(x)
    assert y.requires_grad is not (outline.stops_gradients and not trained)
    if y.requires_grad:
        wanted = [x, *(value for value in module.parameters() if value.requires_grad)]
        reached = [gradient is not None for gradient in torch.autograd.grad(y.sum(), wanted, allow_unused=True)]
        assert reached == [not outline.stops_gradients, *(True for _ in trained)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(Block.kinds()))
def test_one_graph_serves_every_call(kind: str) -> None:
    """Alone traces every kind of block: one graph, whatever the values."""
    block = BLOCKS.validate_python(Block.kinds()[kind].example)
    shape = block.example_input
    with torch.device("meta"):
        module = block.build(shape)
    graphs = 0

    def count(graph: torch.fx.GraphModule, _: list[Tensor]) -> torch.fx.GraphModule:
        nonlocal graphs
        graphs += 1
        return graph

    def call(values: dict[str, Tensor], x: Tensor) -> Tensor:
        output: Tensor = functional_call(module, values, (x,))
        return -output  # So that a block that computes nothing has a graph too.

    torch.compiler.reset()
    compiled = torch.compile(call, backend=count, fullgraph=True, dynamic=False)
    for seed in (0, 1):
        outline, stream = block.outline(shape), partial(derive, seed)
        values, same = (draw(outline, stream) | draw_buffers(outline, stream) for _ in range(2))
        x = torch.randn(5, *shape, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(compiled(values, x), call(same, x))
        torch.testing.assert_close(values, same)
    assert graphs == 1
