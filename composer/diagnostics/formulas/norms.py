"""Norms over groups of tensors, for each seed. Tests: tests/papers/test_measures.py.

Legend: S seeds, L layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor


def squared_norm(tensors: Iterable[Tensor]) -> Tensor:
    """Sum of squares over tensors ``[S, ...]``, float64 ``[S]``."""
    return torch.stack([value.detach().double().square().flatten(1).sum(1) for value in tensors]).sum(0)


def norm(tensors: Iterable[Tensor]) -> Tensor:
    """Euclidean norm of tensors ``[S, ...]`` as one vector, float64 ``[S]``."""
    return squared_norm(tensors).sqrt()


def layers(paths: Iterable[str]) -> dict[str, list[str]]:
    """Parameters by the module that holds them: ``trunk.0`` has ``trunk.0.weight`` and ``trunk.0.bias``."""
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(path.rpartition(".")[0], []).append(path)
    return found


def effective_rates(gradients: Mapping[str, Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
    """``|g| / |w|`` of each layer ``[L, S]``, not finite where a layer is zero: how far a unit step turns its weights.

    Source: Lyle et al., "Normalization and effective learning rates", arXiv:2407.01800; the quotient is SimbaV2's,
    arXiv:2502.15280.
    """
    rates = [
        norm(gradients[path] for path in paths) / norm(parameters[path] for path in paths)
        for paths in layers(parameters).values()
    ]
    return torch.stack(rates)


def weighted_mean(rates: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """Mean over layers ``[L, S] -> [S]``, each weighted by its number of entries; layers without a rate are left out.

    Source: SimbaV2, arXiv:2502.15280.
    """
    sizes = [sum(parameters[path][0].numel() for path in paths) for paths in layers(parameters).values()]
    weights = torch.tensor(sizes, dtype=rates.dtype, device=rates.device)[:, None] * torch.isfinite(rates)
    total: Tensor = (weights * torch.where(torch.isfinite(rates), rates, 0.0)).sum(0) / weights.sum(0)
    return total
