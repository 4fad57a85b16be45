"""Upper bounds of speed, measured here: matrix products, copies, and the products of one update alone.

Tests: tests/benchmarks/test_gpu.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from benchmarks.gpu.agents import Agent, given
from benchmarks.gpu.laps import Candidate, race
from benchmarks.speed.products import record
from composer.training.compile.capture import CudaGraph

if TYPE_CHECKING:
    from benchmarks.gpu.setting import Setting


@dataclass(frozen=True)
class Roof:
    """The roofline of a machine."""

    flops: float
    """Operations per second of a large float32 product, at the present precision."""
    bandwidth: float
    """Bytes per second, read and written, of a large copy."""

    def seconds(self, flops: int, moved: int) -> float:
        """The least time for so many operations and bytes."""
        return max(flops / self.flops, moved / self.bandwidth)


def roof(setting: Setting) -> Roof:
    """Measure the roofline."""
    size, length = setting.sized((8192, 2**28), (64, 2**12))
    left, right = (torch.randn(size, size, device=setting.device) for _ in range(2))
    product = torch.empty_like(left)
    source = torch.randn(length, device=setting.device)
    target = torch.empty_like(source)
    candidates = [
        Candidate("product", lambda: torch.matmul(left, right, out=product)),
        Candidate("copy", lambda: target.copy_(source)),
    ]
    laps = race(candidates, setting)
    return Roof(2 * size**3 * laps["product"].median, 2 * source.nbytes * laps["copy"].median)


@dataclass(frozen=True)
class Floor:
    """The products and convolutions of one update."""

    call: Callable[[], object]
    flops: int


def floor(one: Agent, setting: Setting) -> Floor:
    """Record an eager agent's update; on CUDA it is replayed as a graph, without the cost of launches."""
    (batch,) = given(one, 1)
    arguments = (*batch.transitions, *(batch.extra[name] for name in one.learner.program.extras), *batch.noise.values())
    recorded = record(lambda: one.learner.compute_update(*arguments))
    with torch.device(setting.device):
        work = [each.work() for each in recorded]

    def together() -> None:
        for each in work:
            each()

    call = CudaGraph(together, lambda: ()) if setting.on_gpu else together
    return Floor(call, sum(each.flops for each in recorded))


def moved(one: Agent) -> int:
    """Bytes that one update must move: all state read and written once, and each gradient; activations not counted."""
    learner = one.learner
    state = sum(value.nbytes for value in learner.tensors().values())
    gradients = sum(
        value.nbytes
        for role in learner.optimizers
        for value in learner.parameters(role).values()
        if value.requires_grad
    )
    return 2 * (state + gradients)
