"""Looking inside a stacked network sees what a plain module computes there, and leaves the network alone."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from composer.networks.activations import activations
from composer.networks.blocks import Block
from composer.networks.heads import Scalar
from composer.networks.hooks import watch
from composer.networks.network import Network
from composer.networks.stacked import Stacked, Template, fresh_buffers, fresh_stack
from composer.networks.unit_statistics import summary
from composer.spec.shape import Shape, ShapeError

BLOCKS: TypeAdapter[Block] = TypeAdapter(Block)
RESIDUAL = [
    {"kind": "linear", "width": 6},
    {"kind": "repeat", "times": 2, "block": {"kind": "residual", "block": [
        {"kind": "linear", "expansion": 2}, {"kind": "relu"}, {"kind": "linear", "width": 6}]}},
    {"kind": "tanh"},
]  # fmt: skip
CONVOLUTIONAL = [{"kind": "conv", "width": 4, "kernel": 3}, {"kind": "relu"}, {"kind": "flatten"}]


def stacked(network: Network, shape: Shape, seeds: int, copies: int) -> Stacked:
    outline, numbers = network.outline(shape, 1), range(seeds)
    parameters = fresh_stack(outline, numbers, copies, "test")
    return Stacked(Template(partial(network.build, shape, 1)), parameters, fresh_buffers(outline, numbers, copies, "t"))


def plain(network: Network, shape: Shape, stack: Stacked, seed: int, copy: int) -> nn.Module:
    """One member as a module of its own."""
    with torch.device("meta"):
        module = network.build(shape, 1)
    state = {path: value[seed, copy].detach().clone() for path, value in stack.tensors().items()}
    module.load_state_dict(state, assign=True)
    return module.eval()


def keep(value: Tensor) -> Tensor:
    return value


def note(seen: dict[str, Tensor], path: str, module: nn.Module, arguments: object, output: Tensor) -> None:
    seen[path] = output


@pytest.mark.parametrize(("seeds", "copies"), [(1, 1), (1, 2), (2, 1), (2, 3)])
@pytest.mark.parametrize(("trunk", "shape"), [(RESIDUAL, (5,)), (CONVOLUTIONAL, (2, 6, 7))], ids=["residual", "conv"])
def test_what_is_seen_is_what_each_member_computes(trunk: object, shape: Shape, seeds: int, copies: int) -> None:
    network = Network(trunk=BLOCKS.validate_python(trunk), head=Scalar())
    stack = stacked(network, shape, seeds, copies)
    x = torch.randn(seeds, 9, *shape, generator=torch.Generator().manual_seed(0))
    found = dict(activations(network.outline(shape, 1)))
    assert list(found) == (["trunk.1.0.block.1", "trunk.1.1.block.1", "trunk.2"] if trunk is RESIDUAL else ["trunk.1"])
    units, features = watch(stack, x, {path: partial(summary, unit_axis=axis) for path, axis in found.items()},
                            {"head": keep})  # fmt: skip
    for seed in range(seeds):
        for copy in range(copies):
            module, seen = plain(network, shape, stack, seed, copy), dict[str, Tensor]()
            for path in found:
                module.get_submodule(path).register_forward_hook(partial(note, seen, path))
            module(x[seed])
            for path, axis in found.items():
                torch.testing.assert_close(units[path][seed, copy], summary(seen[path], axis))
            torch.testing.assert_close(features["head"][seed, copy], module.trunk(x[seed]))  # type: ignore[operator]


@pytest.mark.parametrize("kind", sorted(Block.kinds()))
def test_the_activations_of_every_kind_of_block_are_seen(kind: str) -> None:
    """The outline says where they stand; each of them is called."""
    block = BLOCKS.validate_python(Block.kinds()[kind].example)
    shape = block.example_input
    output = block.outline(shape).output
    network = Network(trunk=BLOCKS.validate_python([block, *([] if len(output) == 1 else [{"kind": "flatten"}])]),
                      head=Scalar())  # fmt: skip
    try:
        outline = network.outline(shape, 1)
    except ShapeError:
        pytest.skip("gives no vector, flattened or not")
    stack = stacked(network, shape, 2, 1)
    found = dict(activations(outline))
    if block.is_activation:
        assert list(found) == ["trunk.0"]
    x = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    units, features = watch(
        stack, x, {path: partial(summary, unit_axis=a) for path, a in found.items()}, {"head": keep}
    )
    assert set(units) >= set(found)
    assert all(value.shape[:3] == (2, 1, 3) for value in units.values())
    assert features["head"].shape == (2, 1, 3, outline.children["trunk"].output[0])


def test_every_entrywise_nonlinearity_counts_as_activation() -> None:
    from composer.networks.blocks import activations as room

    kinds = [kind for kind in Block.kinds().values() if kind.__module__ == room.__name__]
    assert len(kinds) >= 7
    assert all(kind.is_activation for kind in kinds)
    assert Block.kinds()["crelu"].is_activation
    assert not Block.kinds()["linear"].is_activation


def test_a_module_that_is_called_twice_is_seen_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.act = nn.Linear(3, 3), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.linear(self.act(self.linear(x))))  # type: ignore[no-any-return]

    parameters = {"linear.weight": -torch.eye(3).expand(1, 1, 3, 3), "linear.bias": torch.ones(1, 1, 3)}
    seen, _ = watch(Stacked(Template(Twice), parameters, {}), 0.5 * torch.ones(1, 2, 3), {"act": keep}, {})
    assert {path: float(value[0, 0, 0, 0]) for path, value in seen.items()} == {"act": 0.5, "act.call2": 0.5}
    seen, _ = watch(Stacked(Template(Twice), parameters, {}), torch.zeros(1, 2, 3), {"act": keep}, {})
    assert {path: float(value[0, 0, 0, 0]) for path, value in seen.items()} == {"act": 1.0, "act.call2": 0.0}


def test_no_hook_stays_and_modes_stay() -> None:
    network = Network(trunk=BLOCKS.validate_python(RESIDUAL), head=Scalar())
    stack = stacked(network, (5,), 2, 2)
    x = torch.randn(2, 4, 5)
    before = stack(x)
    watch(stack, x, {"trunk.2": keep}, {"head": keep})
    assert torch.equal(stack(x), before)
    for module in (*stack.template.evaluation.modules(), *stack.template.training.modules()):
        assert not module._forward_hooks and not module._forward_pre_hooks
    assert stack.template.training.training and not stack.template.evaluation.training
