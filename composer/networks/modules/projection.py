"""Projection of weights onto unit norm, and of gains and shifts together onto another norm.

Sources: SimbaV2, arXiv:2502.15280; nGPT, arXiv:2410.01131; FlashSAC, arXiv:2604.04539.
Tests: tests/training/test_state_kinds.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from composer.networks.outline import Projection

SMALLEST = 1e-8
"""Norms below it are not divided by: a vector of zeros stays one."""


def to_unit_norm(weight: Tensor, axis: int) -> Tensor:
    """``weight`` with every vector along ``axis`` divided by its Euclidean norm; same shape."""
    projected: Tensor = weight / weight.norm(dim=axis, keepdim=True).clamp_min(SMALLEST)
    return projected


@torch.no_grad()
def project(parameters: Mapping[str, Tensor], projections: Iterable[Projection]) -> None:
    """Bring parameters ``[..., *shape]`` by path to their norms, in place."""
    for paths, axis, norm in projections:
        values = [parameters[path] for path in paths]
        if norm == 1.0 and len(values) == 1:
            values[0].copy_(to_unit_norm(values[0], axis))
            continue
        length = torch.cat(values, axis).norm(dim=axis, keepdim=True).clamp_min(SMALLEST)
        for value in values:
            value.mul_(norm / length)
