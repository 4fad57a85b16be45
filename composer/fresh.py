"""Fresh weights: every parameter of an outline drawn under a random stream of its own.

Used for the first weights of a run, and for every reset after. Tests: tests/papers/test_simba_network.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from composer.shapes import Outline

if TYPE_CHECKING:
    from torch import Tensor


def draw(outline: Outline, seed_for: Callable[[str], int]) -> dict[str, Tensor]:
    """Float32 CPU tensors by parameter path, in the outline's order.

    ``seed_for`` gives the seed of a path, such as ``lambda path: derive(seed, "init", "critic", copy, path)``. One
    generator a parameter: adding, widening or removing a layer changes no other parameter whose path stays.
    """
    import torch

    return {
        path: plan.initializer.draw(
            plan.shape, plan.fan_in, plan.fan_out, torch.Generator().manual_seed(seed_for(path))
        )
        for path, plan in outline.named_parameters()
    }
