"""The largest eigenvalue of a Hessian from its products with vectors. Tests: tests/papers/test_measures.py.

Lanczos' recurrence keeps three vectors whatever the number of iterations. It is not orthogonalised anew: rounding then
brings copies of eigenvalues that have converged, which leaves the largest where it is.
Legend: S seeds, one matrix each; a vector is a list of tensors ``[S, ...]``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Vector = list[Tensor]

SMALLEST = 1e-10
"""A remainder of this relative size is rounding: the vectors so far span all that the start can reach."""


def largest_eigenvalue(product: Callable[[Vector], Vector], start: Vector, iterations: int) -> Tensor:
    """The algebraically largest eigenvalue ``[S]`` of each seed's symmetric matrix, float64.

    ``product`` multiplies by the matrices; ``start`` is any vector that is not orthogonal to the eigenvector, such as a
    random one. Exact after as many iterations as the matrix has different eigenvalues, from below before that.
    """
    current = _scaled(start, 1 / _dot(start, start).sqrt())
    previous = [torch.zeros_like(value) for value in start]
    beta = torch.zeros_like(_dot(start, start))
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    alive = torch.ones_like(beta, dtype=torch.bool)
    size = torch.zeros_like(beta)
    for _ in range(iterations):
        image = product(current)
        alpha = _dot(image, current)
        size = torch.maximum(size, _dot(image, image).sqrt())
        # Once nothing is left to explore, the first quotient is repeated: it is no larger than the largest.
        diagonal.append(torch.where(alive, alpha, diagonal[0] if diagonal else alpha))
        remainder = [
            r - _per_seed(alpha, r) * q - _per_seed(beta, r) * p
            for r, q, p in zip(image, current, previous, strict=True)
        ]
        beta = _dot(remainder, remainder).sqrt()
        alive = alive & (beta > SMALLEST * size)
        beside.append(torch.where(alive, beta, 0.0))
        previous, current = current, _scaled(remainder, torch.where(alive, 1 / beta.clamp_min(1e-300), 0.0))
    return _largest_of_tridiagonal(torch.stack(diagonal, -1), torch.stack(beside[:-1], -1) if beside[:-1] else None)


def _largest_of_tridiagonal(diagonal: Tensor, beside: Tensor | None) -> Tensor:
    matrix = torch.diag_embed(diagonal)
    if beside is not None:
        matrix = matrix + torch.diag_embed(beside, 1) + torch.diag_embed(beside, -1)
    finite = torch.isfinite(matrix).all(-1).all(-1)
    eigenvalues: Tensor = torch.linalg.eigvalsh(torch.where(finite[:, None, None], matrix, 0.0))
    return torch.where(finite, eigenvalues[:, -1], torch.nan)


def _dot(a: Vector, b: Vector) -> Tensor:
    return torch.stack([(x * y).double().flatten(1).sum(1) for x, y in zip(a, b, strict=True)]).sum(0)


def _scaled(vector: Vector, factor: Tensor) -> Vector:
    return [value * _per_seed(factor, value) for value in vector]


def _per_seed(factor: Tensor, like: Tensor) -> Tensor:
    return factor.to(like.dtype).view(-1, *[1] * (like.ndim - 1))
