"""Projection of weights onto unit norm. Source: SimbaV2, arXiv:2502.15280; nGPT, arXiv:2410.01131.

Tests: tests/training/test_state_kinds.py.
"""

from __future__ import annotations

from torch import Tensor

SMALLEST = 1e-8
"""Norms below it are not divided by: a vector of zeros stays one."""


def to_unit_norm(weight: Tensor, axis: int) -> Tensor:
    """``weight`` with every vector along ``axis`` divided by its Euclidean norm; same shape."""
    projected: Tensor = weight / weight.norm(dim=axis, keepdim=True).clamp_min(SMALLEST)
    return projected
