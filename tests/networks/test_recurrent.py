"""Layers with a memory: torch's own layers, episodes that end in the middle, and where they may stand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from composer.networks.blocks import GRU, LSTM, Block
from composer.networks.initialize import draw
from composer.networks.network import Network
from composer.networks.sequences import Sequences
from composer.networks.stacked import Stacked, Template, fresh_stack
from composer.spec.random_streams import derive
from composer.spec.shape import ShapeError

INPUTS, WIDTH, N, T = 3, 5, 4, 7
TRUNK = [{"kind": "linear", "width": 6}, {"kind": "gru", "width": 5}, {"kind": "tanh"}, {"kind": "lstm", "width": 4}]


def filled(block: Block) -> nn.Module:
    with torch.device("meta"):
        module = block.build((INPUTS,))
    state = draw(block.outline((INPUTS,)), lambda path: derive(1, path))
    drawn = {name: value.double() + 0.1 * torch.randn(value.shape, dtype=torch.double) for name, value in state.items()}
    module.load_state_dict(drawn, assign=True)
    return module


def in_torchs_order(block: Any, part: str, module: Any, read: Any = lambda value: value) -> Tensor:
    return torch.cat([read(getattr(module, f"{part}_{gate}")) for gate in block.gates])


def torchs(block: Any, module: Any) -> Any:
    """The layer of torch with the same weights."""
    own = (nn.GRU if block.kind == "gru" else nn.LSTM)(INPUTS, WIDTH, batch_first=True).double()
    joined = [
        torch.cat([getattr(module, f"{part}_{gate}") for gate in block.gates])
        for part in ("input", "recurrent", "bias")
    ]
    other = torch.zeros_like(joined[2])
    if block.kind == "gru":
        other[-WIDTH:] = module.bias_recurrent
    for parameter, value in zip(own.parameters(), [*joined, other], strict=True):
        parameter.data = value.detach().clone()
    return own


@pytest.mark.parametrize("block", [GRU(width=WIDTH), LSTM(width=WIDTH)], ids=lambda block: block.kind)
def test_outputs_memory_and_gradients_are_those_of_torch(block: Any) -> None:
    torch.manual_seed(0)
    module, x, memory = filled(block), torch.randn(N, T, INPUTS).double(), torch.randn(N, block.memory_size).double()
    own = torchs(block, module)
    states = [part[None].contiguous() for part in memory.split(WIDTH, -1)]
    expected, last = own(x, states[0] if block.kind == "gru" else tuple(states))
    found, after = module(x, torch.zeros(N, T, dtype=torch.bool), memory)
    torch.testing.assert_close(found, expected)
    ends = torch.cat([last] if block.kind == "gru" else last, -1)[0]
    torch.testing.assert_close(after[:, -1], ends)
    weights = torch.randn(N, T, WIDTH).double()
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    for part, its in (("input", own.weight_ih_l0), ("recurrent", own.weight_hh_l0), ("bias", own.bias_ih_l0)):
        torch.testing.assert_close(in_torchs_order(block, part, module, lambda value: value.grad), its.grad)
    if block.kind == "gru":
        torch.testing.assert_close(module.bias_recurrent.grad, own.bias_hh_l0.grad[-WIDTH:])


@pytest.mark.parametrize("block", [GRU(width=WIDTH), LSTM(width=WIDTH)], ids=lambda block: block.kind)
def test_an_episode_begins_without_memory_wherever_in_a_sequence(block: Any) -> None:
    torch.manual_seed(0)
    module, x = filled(block), torch.randn(N, T, INPUTS).double()
    starts = torch.zeros(N, T, dtype=torch.bool)
    starts[1, 3] = starts[2, 0] = True
    memory = torch.randn(N, block.memory_size).double()
    found, after = module(x, starts, memory)
    none = torch.zeros_like(starts)
    torch.testing.assert_close(found[0], module(x[:1], none[:1], memory[:1])[0][0])
    torch.testing.assert_close(found[1, 3:], module(x[1:2, 3:], none[1:2, 3:], 0 * memory[1:2])[0][0])
    torch.testing.assert_close(found[2], module(x[2:3], none[2:3], 0 * memory[2:3])[0][0])
    # In two pieces, with the memory between them, as rollouts follow each other.
    first, between = module(x[:, :4], starts[:, :4], memory)
    then, last = module(x[:, 4:], starts[:, 4:], between[:, -1])
    torch.testing.assert_close(torch.cat([first, then], 1), found)
    torch.testing.assert_close(last, after[:, 4:])
    # A plain input is a first observation.
    torch.testing.assert_close(module(x[2, 0]), found[2, 0])


def network(trunk: Any) -> Network:
    return TypeAdapter(Network).validate_python({"trunk": trunk, "head": {"kind": "scalar"}})


def stacked(spec: Network, seeds: tuple[int, ...]) -> Stacked:
    outline = spec.outline((INPUTS,), 1)
    return Stacked(Template(lambda: spec.build((INPUTS,), 1)), fresh_stack(outline, seeds, 1, "init"), {})


@pytest.mark.parametrize("seeds", [(1,), (1, 2, 3, 4, 5)], ids=["in turn", "mapped"])
def test_a_stack_of_seeds_keeps_their_memories_apart(seeds: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    spec = network(TRUNK)
    assert spec.memory_size == 5 + 2 * 4
    many, size = stacked(spec, seeds), len(seeds)
    seen = Sequences(torch.randn(size, N, T, INPUTS), torch.rand(size, N, T) < 0.2, torch.randn(size, N, 13))
    value, memory = many(seen)
    assert (value.shape, memory.shape) == ((size, 1, N, T), (size, 1, N, T, 13))
    for index, seed in enumerate(seeds):
        alone: tuple[Tensor, Tensor] = stacked(spec, (seed,))(Sequences(*(part[index : index + 1] for part in seen)))
        torch.testing.assert_close(value[index], alone[0][0])
        torch.testing.assert_close(memory[index], alone[1][0])
    mapped = many._functional(many.template.evaluation, seen)
    torch.testing.assert_close(mapped[0], value)
    fresh, _ = many(seen._replace(starts=seen.starts | True))
    torch.testing.assert_close(many(seen.observation[:, 0]), fresh[:, :, 0])


def test_a_memory_stands_in_the_list_of_a_trunk() -> None:
    inside = {"kind": "residual", "block": {"kind": "gru", "width": INPUTS}}
    with pytest.raises(ShapeError, match="stand in the trunk's own list of blocks, not inside another block"):
        network(inside).outline((INPUTS,), 1)
    assert network({"kind": "lstm", "width": 2}).memory_size == 4
    assert network([[{"kind": "gru", "width": 2}], {"kind": "tanh"}]).outline((INPUTS,), 1).output == ()
