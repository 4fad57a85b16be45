"""Order of a function on the square by its Chebyshev coefficients.

Source: the measure of Neural Redshift, arXiv:2403.02241: the order of a polynomial basis, averaged with the sizes of
its coefficients as weights. Tests: tests/papers/test_neural_redshift.py. Legend: n nodes on either axis.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def nodes(count: int) -> Tensor:
    """The zeros of the Chebyshev polynomial ``T_count``, from 1 down to -1, float64 ``[count]``."""
    return torch.cos(_angles(count))


def chebyshev_coefficients(values: Tensor) -> Tensor:
    """Coefficients of ``T_j(x) T_k(y)`` for values ``[..., n, n]`` at the nodes: ``[..., n, n]``, in float64.

    They are those of the one polynomial of an order below n in x and in y that has these values.
    """
    n = values.shape[-1]
    order = torch.arange(n, dtype=torch.float64)
    basis = torch.cos(order[:, None] * _angles(n)) * torch.where(order > 0, 2.0, 1.0)[:, None] / n
    return basis @ values.double() @ basis.mT


def mean_order(coefficients: Tensor) -> Tensor:
    """``sum |c| (j + k) / sum |c|`` of coefficients ``[..., n, n]``: ``[...]``. The constant term counts nowhere.

    Coefficients below the rounding of the largest one are 0, and so is the order of a constant function.
    """
    order = torch.arange(coefficients.shape[-1], dtype=torch.float64)
    total, size = order[:, None] + order, coefficients.abs()
    rounding = size.amax((-2, -1), keepdim=True) * (len(order) * torch.finfo(torch.float64).eps)
    size = torch.where((total > 0) & (size > rounding), size, 0.0)
    whole = size.sum((-2, -1))
    return torch.where(whole > 0, (size * total).sum((-2, -1)) / whole.clamp_min(torch.finfo(torch.float64).tiny), 0.0)


def _angles(count: int) -> Tensor:
    return (torch.arange(count, dtype=torch.float64) + 0.5) * (math.pi / count)
