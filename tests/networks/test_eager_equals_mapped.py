"""Few members are called in turn, each through a module that holds its tensors: nobody can tell but by the clock.

What they are held to is the functional call that compiled programs make. Eager calls make it too where the module is
watched from its root, so that a hook that does nothing is enough to get it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import tiny_dqn
import torch
from pydantic import TypeAdapter
from torch import Tensor

from composer.blueprint import load
from composer.blueprint.syntax.extends import shipped
from composer.networks.blocks import Block
from composer.networks.heads import Head, Scalar
from composer.networks.network import Network
from composer.networks.stacked import FEW, Stacked, Template, fresh_buffers, fresh_stack
from composer.replay.transitions import Transitions
from composer.spec.shape import Shape, ShapeError
from composer.training.compile.capture import Choice
from composer.training.learner import Learner

BLOCKS: TypeAdapter[Block] = TypeAdapter(Block)
HEADS: TypeAdapter[Head] = TypeAdapter(Head)
MEMBERS = [*(pytest.param(*each, marks=pytest.mark.slow) for each in ((1, 1), (1, 2))), (2, 2)]
LINEAR: dict[str, object] = {"kind": "linear", "width": 6}


def unbound(template: Template) -> Template:
    """The same modules, watched from their root by nobody."""
    for module in (template.training, template.evaluation):
        module.register_forward_pre_hook(lambda *_: None)
    return template


def pair(network: Network, shape: Shape, seeds: int, copies: int) -> tuple[Stacked, Stacked]:
    """Twice the same numbers: called in turn, and functionally."""
    outline, build = network.outline(shape, 3), partial(network.build, shape, 3)

    def drawn() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        parameters = fresh_stack(outline, range(seeds), copies, "test")
        return parameters, fresh_buffers(outline, range(seeds), copies, "buffers")

    return Stacked(Template(build), *drawn()), Stacked(unbound(Template(build)), *drawn())


def flat(output: Any) -> list[Tensor]:
    return list(output) if isinstance(output, tuple) else [output]


def judged(network: Stacked, x: Tensor, training: bool) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs without gradients; with them, the gradients in the input and in parameters, and buffers after both."""
    x = x.clone().requires_grad_()
    with torch.no_grad():
        alone = [each.detach() for each in flat(network(x, training))]
    outputs = flat(network(x, training))
    learned = [value for value in network.parameters.values() if value.requires_grad]
    loss = torch.stack([output.double().square().sum() for output in outputs]).sum()
    gradients = torch.autograd.grad(loss, [x, *learned], allow_unused=True) if loss.requires_grad else ()
    found = (torch.zeros(()) if each is None else each for each in gradients)
    return alone, [each.detach() for each in (*outputs, *found, *network.buffers.values())]


def held_equal(turned: Stacked, mapped: Stacked, x: Tensor, training: bool) -> None:
    """To the bit where nothing is mapped. But products of some shapes are summed differently where nobody learns."""
    exactly = turned.seeds == turned.copies == 1
    (alone, learned), (wanted_alone, wanted) = judged(turned, x, training), judged(mapped, x, training)
    for ones, others, is_exact in ((alone, wanted_alone, False), (learned, wanted, exactly)):
        for one, other in zip(ones, others, strict=True):
            assert one.shape == other.shape
            size = float(other.double().abs().max()) if other.numel() else 0.0
            torch.testing.assert_close(one, other, rtol=0.0, atol=0.0 if is_exact else 1e-5 * (1 + size))


@pytest.mark.parametrize(
    "training", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["training", "evaluation"]
)
@pytest.mark.parametrize(("seeds", "copies"), MEMBERS)
@pytest.mark.parametrize("kind", sorted(Block.kinds()))
def test_networks_of_every_block(kind: str, seeds: int, copies: int, training: bool) -> None:
    """Beside two seeds of two copies in training, the other ways of stacking, and evaluation."""
    block = BLOCKS.validate_python(Block.kinds()[kind].example)
    shape = block.example_input
    trunk = [block, *([] if len(block.outline(shape).output) == 1 else [{"kind": "flatten"}])]
    network = Network(trunk=BLOCKS.validate_python(trunk), head=Scalar())
    try:
        turned, mapped = pair(network, shape, seeds, copies)
    except ShapeError:
        pytest.skip("gives no vector, flattened or not")
    held_equal(turned, mapped, torch.randn(seeds, 5, *shape, generator=torch.Generator().manual_seed(0)), training)


@pytest.mark.parametrize(("seeds", "copies"), MEMBERS)
@pytest.mark.parametrize("kind", sorted(Head.kinds()))
def test_networks_of_every_head(kind: str, seeds: int, copies: int) -> None:
    """Beside two seeds of two copies, the other ways of stacking."""
    network = Network(trunk=BLOCKS.validate_python(LINEAR), head=HEADS.validate_python(Head.kinds()[kind].example))
    turned, mapped = pair(network, (4,), seeds, copies)
    held_equal(turned, mapped, torch.randn(seeds, 5, 4, generator=torch.Generator().manual_seed(0)), True)


def mlp(seeds: int, copies: int) -> tuple[Stacked, Stacked]:
    layers = [LINEAR, {"kind": "batch_norm"}, {"kind": "relu"}]
    return pair(Network(trunk=BLOCKS.validate_python(layers), head=Scalar()), (4,), seeds, copies)


@pytest.mark.parametrize(("members", "is_turned"), [(FEW, True), (FEW + 1, False)])
def test_few_members_are_called_in_turn(members: int, is_turned: bool) -> None:
    turned, mapped = mlp(members, 1)
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    turned.template.evaluation.get_submodule("head").register_forward_hook(count)
    held_equal(turned, mapped, torch.randn(members, 5, 4, generator=torch.Generator().manual_seed(0)), False)
    assert calls == (2 * members if is_turned else 2)


def replaced(network: Stacked) -> None:
    for value in network.tensors().values():
        value.data = value.detach() * 1.5


def changed(network: Stacked) -> None:
    with torch.no_grad():
        for value in network.tensors().values():
            value.mul_(1.5)


def rebuilt(network: Stacked) -> None:
    network.parameters = {path: (1.5 * value.detach()).requires_grad_() for path, value in network.parameters.items()}
    network.buffers = {path: 1.5 * value for path, value in network.buffers.items()}


@pytest.mark.parametrize("change", [changed, replaced, rebuilt], ids=["in place", "another memory", "another tensor"])
@pytest.mark.parametrize(("seeds", "copies"), MEMBERS)
def test_what_becomes_of_tensors_is_seen_at_the_next_call(
    change: Callable[[Stacked], None], seeds: int, copies: int
) -> None:
    """Beside two seeds of two copies, the other ways of stacking."""
    turned, mapped = mlp(seeds, copies)
    x = torch.randn(seeds, 5, 4, generator=torch.Generator().manual_seed(0))
    for training in (True, False):
        held_equal(turned, mapped, x, training)
    for network in (turned, mapped):
        change(network)
    for training in (True, False):
        held_equal(turned, mapped, x, training)


def test_two_losses_of_one_network_are_told_apart() -> None:
    """The second call puts other views into the module: the first one's history is its own."""
    turned, _ = mlp(1, 2)
    (weight,) = (value for path, value in turned.parameters.items() if path == "trunk.0.weight")
    one, two = torch.randn(1, 5, 4), torch.randn(1, 5, 4)
    alone = [torch.autograd.grad(turned(x).sum(), weight)[0] for x in (one, two)]
    first, second = turned(one).sum(), turned(two).sum()
    for loss, gradient in zip((second, first), reversed(alone), strict=True):
        assert torch.equal(torch.autograd.grad(loss, weight)[0], gradient)


def test_a_hook_of_a_layer_is_called_in_turn() -> None:
    """One that is put there after the first call too."""
    turned, _ = mlp(1, 2)
    x, seen = torch.randn(1, 5, 4), list[Tensor]()
    turned(x)
    trunk = turned.template.evaluation.get_submodule("trunk")
    handle = trunk.register_forward_hook(lambda *given: seen.append(given[2]))
    turned(x)
    assert len(seen) == 2
    handle.remove()
    turned(x)
    assert len(seen) == 2


def sac() -> Learner:
    widths = [f"networks.{role}.trunk.width=8" for role in ("actor", "critic")]
    blueprint = load(shipped()["dmc/sac_mlp"], ["algorithm.batch_size=8", "replay.capacity=64", *widths]).blueprint
    return Learner(blueprint.agent, "cpu", Choice(False, "a test"))


def transitions_of_sac(seed: int) -> Transitions:
    draws = torch.Generator().manual_seed(seed)
    sizes = ((1, 8, 24), (1, 8, 6), (1, 8), (1, 8), (1, 8, 24))
    return Transitions(*(torch.randn(*size, generator=draws) for size in sizes))


def update_sac(agent: Learner, seed: int) -> None:
    agent.update(transitions_of_sac(seed))


def update_dqn(agent: Learner, seed: int) -> None:
    agent.update(*tiny_dqn.batch(agent, seed))


@pytest.mark.parametrize(
    ("build", "update"), [(sac, update_sac), (tiny_dqn.learner, update_dqn)], ids=["twin critics", "dqn"]
)
def test_agents_learn_the_same(build: Callable[[], Learner], update: Callable[[Learner, int], None]) -> None:
    turned, mapped = build(), build()
    for network in mapped.networks.values():
        unbound(network.template)
    for seed in range(3):
        update(turned, seed)
        update(mapped, seed)
    found, wanted = turned.tensors(), mapped.tensors()
    for name, value in found.items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-4, atol=1e-6, msg=name)
