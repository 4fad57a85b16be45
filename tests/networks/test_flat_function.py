"""Flat functions of modules: the same operations without the calls of the modules, or none at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from composer.blueprint import load
from composer.blueprint.syntax.extends import shipped
from composer.networks.flat_function import flat_function
from composer.training.compile.capture import Choice
from composer.training.learner import Learner

SMALL = ["algorithm.batch_size=8"]


class Twice(nn.Module):
    """A layer that is called twice, and a buffer that counts calls."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.calls: Tensor
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls.add_(1)
        y: Tensor = self.layer(torch.relu(self.layer(x)))
        return y


def test_operations_and_gradients_are_the_same_and_no_module_is_called() -> None:
    module, calls = Twice(), list[nn.Module]()
    module.layer.register_forward_hook(lambda layer, *_: calls.append(layer))
    flat, x = flat_function(module), torch.randn(2, 3)
    assert flat is not None
    assert sorted(flat.paths) == ["calls", "layer.bias", "layer.weight"]
    assert not calls  # Nor while it is traced.
    given = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    found = flat.call(x, *(given[path] for path in flat.paths))
    assert not calls
    assert module.calls == 1  # Buffers change in place.
    wanted = module(x)
    assert torch.equal(found, wanted)
    gradients = [torch.autograd.grad(y.square().sum(), [*module.parameters()]) for y in (found, wanted)]
    assert all(map(torch.equal, *gradients))


class Forward(nn.Module):
    """A forward pass that is given."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def without_gradients(x: Tensor) -> Tensor:
    with torch.no_grad():
        return x + 1


def in_half(x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return x @ x.mT


@pytest.mark.parametrize(
    "function",
    [
        without_gradients,
        in_half,
        lambda x: x + torch.randn(3),
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x.view(*x.shape, 1),
    ],
    ids=["no gradients", "half precision", "a draw of its own", "a branch on values", "a loop over sizes"],
)
def test_what_a_flat_function_would_do_differently_has_none(function: Callable[[Tensor], Tensor]) -> None:
    assert flat_function(Forward(function)) is None


@pytest.mark.parametrize("name", ["dmc/sac_mlp", "dmc/sac_simba", "dmc/ppo_simba"])
def test_shipped_agents_act_through_flat_functions(name: str) -> None:
    """Networks of agents that act on vectors: none calls a layer as a module."""
    agent = Learner(
        load(shipped()[name], SMALL[: name != "dmc/ppo_simba"]).blueprint.agent, "cpu", Choice(False, "a test")
    )
    for network in agent.networks.values():
        assert all(flat_function(module) for module in (network.template.evaluation, network.template.training))
