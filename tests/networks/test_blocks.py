"""Every kind of block keeps the contract: what it declares is what it builds, and its errors lead to the blueprint."""

from __future__ import annotations

import inspect
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from composer.networks.blocks import Block, Linear
from composer.networks.blocks.base import MAX_BLOCKS, MAX_WIDTH
from composer.networks.initialize import draw, draw_buffers
from composer.spec.random_streams import derive
from composer.spec.shape import Shape, ShapeError

BLOCKS: TypeAdapter[Block] = TypeAdapter(Block)
SHAPES: list[Shape | None] = [None, (16,), (3, 16)]
"""What every example is tried on: the shape that its kind names, and vectors and tokens where it takes them."""


def parse(table: object) -> Block:
    return BLOCKS.validate_python(table)


def on_meta(block: Block, shape: Shape) -> nn.Module:
    with torch.device("meta"):
        return block.build(shape)


def filled(block: Block, shape: Shape, seed: int = 0) -> nn.Module:
    module = on_meta(block, shape)
    outline = block.outline(shape)
    state = draw(outline, lambda path: derive(seed, path)) | draw_buffers(outline, lambda path: derive(seed, path))
    module.load_state_dict(state, assign=True)
    trainable = {path: plan.trainable for path, plan in outline.named_parameters()}
    for path, parameter in module.named_parameters():
        parameter.requires_grad_(trainable[path])
    return module.eval()


def taken(block: Block, shape: Shape | None) -> Shape:
    """The shape, or that of the kind's example; skips what the block refuses, which building must refuse too."""
    if shape is None:
        return block.example_input
    try:
        block.outline(shape)
    except ShapeError:
        with pytest.raises(ShapeError):
            block.build(shape)
        pytest.skip(f"{block.kind} takes no {shape}")
    return shape


def only_moves(module: nn.Module, shape: Shape) -> bool:
    """Whether every entry of the output is one of the input's: the only reason to cost nothing."""
    x = torch.arange(1.0, 1 + math.prod(shape)).reshape(shape)
    return not list(module.parameters()) and bool(torch.isin(module(x), x).all())


@pytest.fixture(params=sorted(Block.kinds()))
def example(request: pytest.FixtureRequest) -> Block:
    return parse(Block.kinds()[request.param].example)


def test_examples_name_their_own_kind(example: Block) -> None:
    assert type(example).example["kind"] == example.kind
    assert example.summary(), "the first line of the docstring is the reference's summary"


def test_round_trips(example: Block) -> None:
    assert parse(BLOCKS.dump_python(example)) == example
    assert parse(json.loads(BLOCKS.dump_json(example))) == example
    assert hash(example) == hash(parse(BLOCKS.dump_python(example)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_is_outlined_is_built(example: Block, shape: Shape | None) -> None:
    shape = taken(example, shape)
    outline = example.outline(shape)
    module = on_meta(example, shape)
    planned = {path: plan.shape for path, plan in outline.named_parameters()}
    built = {path: tuple(parameter.shape) for path, parameter in module.named_parameters()}
    assert list(planned.items()) == list(built.items()), "same paths, in the same order, of the same shapes"
    planned_buffers = {path: plan.shape for path, plan in outline.named_buffers()}
    assert list(planned_buffers.items()) == [(path, tuple(value.shape)) for path, value in module.named_buffers()]
    assert outline.input == shape
    assert tuple(module(torch.empty(7, *shape, device="meta")).shape) == (7, *outline.output)
    assert outline.total_flops() > 0 or only_moves(module, shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_samples_do_not_mix_and_gradients_reach(example: Block, shape: Shape | None) -> None:
    shape = taken(example, shape)
    module = filled(example, shape)
    x = torch.randn(5, *shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(module(x)[2], module(x[2]))
    # Gates of a memory play no part where it is empty: tests/networks/test_recurrent.py reaches them all.
    parameters = {path: value for path, value in module.named_parameters() if value.requires_grad}
    parameters = {} if example.memory_size else parameters
    for training in (False, True) if parameters else ():
        y = module.train(training)(x)
        weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
        gradients = torch.autograd.grad((y * weights).sum(), list(parameters.values()), allow_unused=not training)
        found = zip(parameters, gradients, strict=True)
        unreached = [path for path, gradient in found if gradient is None or not gradient.any()]
        # Where there is no noise, its scales play no part.
        assert unreached == ([] if training else [path for path in parameters if path.endswith("_sigma")])


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_stacked_copies_equal_each_alone(example: Block, training: bool) -> None:
    shape = example.example_input
    copies = [filled(example, shape, seed).train(training) for seed in (0, 1)]
    parameters, buffers = stack_module_state(copies)
    if not parameters and not buffers:
        return  # Nothing to stack.
    x = torch.randn(5, *shape, generator=torch.Generator().manual_seed(1))
    one = on_meta(example, shape).train(training)

    def called(values: dict[str, torch.Tensor], states: dict[str, torch.Tensor]) -> torch.Tensor:
        return functional_call(one, values | states, (x,))

    stacked = vmap(called, randomness="error")(parameters, buffers)
    for index, copy in enumerate(copies):
        torch.testing.assert_close(stacked[index], copy(x))
        for path, state in copy.named_buffers():
            torch.testing.assert_close(buffers[path][index], state, msg=path)


def test_spec_and_module_name_each_other(example: Block) -> None:
    """They have the same file name, or the docstring of each leads to the other."""
    room, _, name = example.module(example.example_input).target.partition(":")[0].rpartition(".")
    if room == "composer.networks.modules":
        spec = Path(inspect.getfile(type(example)))
        module = spec.parents[1] / "modules" / f"{name}.py"
        assert f"{room}.{name}" in spec.read_text(), "the spec names its module"
        assert name == spec.stem or spec.name in module.read_text().split('"""')[1], "the module names its spec"


def test_reading_blocks_imports_no_torch() -> None:
    code = """
import sys
from composer.networks.blocks import Block
from composer.networks.heads import Head
from composer.networks.network import Network
for block in Block.kinds().values():
    for head in Head.kinds().values():
        trunk = [block.example, {"kind": "flatten"}, {"kind": "linear", "width": 4}]
        Network.model_validate({"trunk": trunk, "head": head.example}).outline(block.example_input, 2).count()
heavy = {"torch", "numpy", "scipy", "mlflow", "gymnasium", "dm_control"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=3_600)
    assert done.returncode == 0, done.stderr


NARROW = {"kind": "residual", "block": [{"kind": "relu"}, {"kind": "linear", "width": 8}]}


@pytest.mark.parametrize(
    ("table", "shape", "steps", "message"),
    [
        (
            NARROW,
            (16,),
            ("block",),
            "a residual block must keep its shape: its input is [16], its output [8]"
            '; end the block with { kind = "linear", width = 16 }',
        ),
        (
            [{"kind": "linear", "width": 16}, {"kind": "repeat", "times": 2, "block": [{"kind": "tanh"}, NARROW]}],
            (4,),
            ("layers", 1, "block", "layers", 1, "block"),
            "a residual block must keep its shape: its input is [16], its output [8]"
            '; end the block with { kind = "linear", width = 16 }',
        ),
        (
            {"kind": "repeat", "times": 4, "block": {"kind": "linear", "expansion": 64}},
            (16,),
            ("block", "expansion"),
            f"64 x 65536 = 4194304 is wider than {MAX_WIDTH} (in copy 3 of 4)",
        ),
        (
            [{"kind": "linear", "width": 4, "bias_init": {"kind": "orthogonal"}}],
            (16,),
            ("layers", 0, "bias_init"),
            "the initialiser 'orthogonal' needs a parameter with at least 2 axes; this one has shape [4]",
        ),
        ({"kind": "layer_norm"}, (), (), "'layer_norm' acts on the last axis, and its input is a scalar, shape []"),
        ({"kind": "linear", "width": 4}, (), (), "'linear' acts on the last axis, and its input is a scalar, shape []"),
    ],
)
def test_shape_errors_lead_to_the_key(table: object, shape: Shape, steps: tuple[str | int, ...], message: str) -> None:
    block = parse(table)
    for method in (block.outline, block.build):
        with pytest.raises(ShapeError) as caught:
            method(shape)
        assert caught.value.steps == steps
        assert caught.value.message == message


def test_nested_repeats_are_stopped_before_they_grow() -> None:
    table: dict[str, Any] = {"kind": "relu"}
    for _ in range(8):
        table = {"kind": "repeat", "times": 256, "block": table}
    with pytest.raises(ShapeError, match=f"more than {MAX_BLOCKS}") as caught:
        parse(table).outline((16,))
    assert caught.value.steps == ("block",) * 6 + ("times",)


@pytest.mark.parametrize(
    ("table", "where", "message"),
    [
        ({"kind": "linear"}, (), "give exactly one of 'width' and 'expansion'; got neither"),
        ({"kind": "linear", "width": 4, "expansion": 2}, (), "give exactly one of 'width' and 'expansion'; got both"),
        ({"kind": "linear", "width": 0}, ("width",), "greater than or equal to 1"),
        ({"kind": "linear", "width": MAX_WIDTH + 1}, ("width",), f"less than or equal to {MAX_WIDTH}"),
        ({"kind": "linear", "width": True}, ("width",), "valid integer"),
        ({"kind": "layer_norm", "epsilon": 0.0}, ("epsilon",), "greater than 0"),
        ({"kind": "repeat", "times": 257, "block": {"kind": "relu"}}, ("times",), "less than or equal to 256"),
        ({"kind": "sequence", "layers": []}, ("layers",), "a sequence needs at least one block"),
        ([{"kind": "residual", "block": [{"kind": "rulu"}]}], ("layers", 0, "block", "layers", 0, "kind"), "'relu'"),
    ],
)
def test_values_out_of_bounds_are_refused(table: object, where: tuple[str | int, ...], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse(table)
    (error,) = caught.value.errors()
    assert error["loc"] == where
    assert message in error["msg"]


def test_repeat_may_change_the_shape_once_or_not_at_all() -> None:
    mlp = parse({"kind": "repeat", "times": 3, "block": [{"kind": "linear", "width": 8}, {"kind": "relu"}]})
    assert [plan.shape for _, plan in mlp.outline((5,)).named_parameters()] == [
        (8, 5),
        (8,),
        (8, 8),
        (8,),
        (8, 8),
        (8,),
    ]
    nothing = parse({"kind": "repeat", "times": 0, "block": {"kind": "linear", "width": 8}})
    assert nothing.outline((5,)).output == (5,)
    x = torch.ones(2, 5)
    assert nothing.build((5,))(x) is x


def test_a_trainable_width_is_the_last_axis() -> None:
    assert Linear(expansion=4).outline((3, 16)).output == (3, 64)
    assert Linear(width=4, bias=False).outline((16,)).count() == 64
