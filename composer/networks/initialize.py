"""Fresh weights: every parameter and buffer of an outline is drawn from a random stream of its own.

For the first weights of a run, and for every reset after. Tests: tests/papers/test_simba_network.py,
tests/training/test_state_kinds.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from composer.networks.outline import BufferPlan, Outline, ParameterPlan

if TYPE_CHECKING:
    from torch import Tensor


def draw(outline: Outline, seed_for: Callable[[str], int]) -> dict[str, Tensor]:
    """Float32 CPU tensors of the parameters by path, in the outline's order, projected where that is declared.

    ``seed_for`` gives the seed of a path, such as ``lambda path: derive(seed, "init", "critic", copy, path)``. Each
    parameter has its own generator: adding, widening or removing a layer changes no other parameter whose path stays.
    """
    return {path: draw_one(plan, seed_for(path)) for path, plan in outline.named_parameters()}


def draw_one(plan: ParameterPlan, seed: int) -> Tensor:
    """One parameter, a float32 CPU tensor."""
    import torch

    from composer.networks.modules.projection import to_unit_norm

    value = plan.initializer.draw(plan.shape, plan.fan_in, plan.fan_out, torch.Generator().manual_seed(seed))
    return value if plan.unit_axis is None else to_unit_norm(value, plan.unit_axis)


def draw_buffers(outline: Outline, seed_for: Callable[[str], int]) -> dict[str, Tensor]:
    """CPU tensors of the buffers by path: statistics and counters at their start, keys from ``seed_for``."""
    return {path: _first(plan, seed_for(path)) for path, plan in outline.named_buffers()}


def _first(plan: BufferPlan, seed: int) -> Tensor:
    import torch

    if plan.kind == "statistic":
        return torch.full(plan.shape, plan.start, dtype=torch.float32)
    return torch.tensor(seed if plan.kind == "key" else 0, dtype=torch.int64)
