"""Similarity of the gradients of single samples. Tests: tests/papers/test_measures.py.

Source: Lyle et al., "Understanding plasticity in neural networks", arXiv:2303.01486.
Legend: n samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST = 1e-30
"""Smaller norms are not divided by: a gradient of zeros is similar to none."""


def cosines(gradients: Tensor) -> Tensor:
    """``C_ij = <g_i, g_j> / (|g_i| |g_j|)`` of n gradients ``[..., n, entries]``: ``[..., n, n]``."""
    unit = gradients / gradients.norm(dim=-1, keepdim=True).clamp_min(SMALLEST)
    products: Tensor = unit @ unit.mT
    return products


def off_diagonal_mean(matrix: Tensor) -> Tensor:
    """Mean of the entries off the diagonal, ``[..., n, n] -> [...]``, n at least 2."""
    n = matrix.shape[-1]
    trace = matrix.diagonal(dim1=-2, dim2=-1).sum(-1)
    mean: Tensor = (matrix.sum((-2, -1)) - trace) / (n * (n - 1))
    return mean


def interference(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Mean magnitude and mean of the entries off the diagonal of ``[..., n, n]``.

    The magnitude is the off-diagonal mass: near 0 samples are learned apart, near 1 all at once. The signed mean is
    positive where they help each other and negative where they interfere.
    """
    return off_diagonal_mean(matrix.abs()), off_diagonal_mean(matrix)


def flat(gradients: list[Tensor]) -> Tensor:
    """Tensors ``[S, ...]`` as one vector per seed, ``[S, entries]``."""
    return torch.cat([value.flatten(1) for value in gradients], 1)
