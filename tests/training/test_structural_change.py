"""A head that becomes three (plasticity injection's surgery) costs exactly one more graph: docs/decisions/0004."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from composer.networks.stacked import Stacked, Template

SEEDS, COPIES, WIDTH = 3, 2, 8


class Injected(nn.Module):
    """``main + (new - old)``: with equal ``new`` and ``old`` the same function as ``main``."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.new, self.old = nn.Linear(WIDTH, 1), nn.Linear(WIDTH, 1), nn.Linear(WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x) + (self.new(x) - self.old(x))


def update_of(network: Stacked, trained: Mapping[str, Tensor]) -> Callable[[Tensor], None]:
    def update(x: Tensor) -> None:
        gradients = torch.autograd.grad(network(x).square().mean(), list(trained.values()))
        with torch.no_grad():
            for parameter, gradient in zip(trained.values(), gradients, strict=True):
                parameter.sub_(0.1 * gradient)

    return update


def test_injection_keeps_outputs_and_adds_one_graph() -> None:
    graphs: list[Any] = []

    def count(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(SEEDS, COPIES, *shape, generator=generator)

    x = torch.randn(SEEDS, 4, WIDTH, generator=generator)
    head = {"weight": drawn(1, WIDTH).requires_grad_(), "bias": drawn(1).requires_grad_()}
    injected = {f"main.{path}": value.detach() for path, value in head.items()}
    for path, value in head.items():
        fresh = drawn(*value.shape[2:])
        injected |= {f"new.{path}": fresh.clone().requires_grad_(), f"old.{path}": fresh}
    with torch.device("meta"):
        before, after = (
            Stacked(Template(lambda: nn.Linear(WIDTH, 1)), head, {}),
            Stacked(Template(Injected), injected, {}),
        )

    with torch._dynamo.config.patch(trace_autograd_ops=True):
        first = torch.compile(update_of(before, head), fullgraph=True, backend=count)
        for _ in range(3):
            first(x)
        assert len(graphs) == 1
        assert torch.equal(before(x), after(x))  # new - old is exactly 0
        frozen = {path: value.clone() for path, value in injected.items() if not value.requires_grad}
        trained = {path: value for path, value in injected.items() if value.requires_grad}
        second = torch.compile(update_of(after, trained), fullgraph=True, backend=count)
        for _ in range(3):
            second(x)
    assert len(graphs) == 2
    assert not torch.equal(before(x), after(x))
    assert all(torch.equal(injected[path], value) for path, value in frozen.items())
