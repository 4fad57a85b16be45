"""Rewrites, written into tensors in place. Tests: tests/interventions/test_surgery.py."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from composer.interventions.base import Rewrite
from composer.networks.parameter_selectors import ParameterName
from composer.networks.stacked import per_seed


def by_parameter(rewrites: Sequence[Rewrite]) -> dict[ParameterName, list[Rewrite]]:
    """Rewrites by the parameter that they change, in order."""
    found: dict[ParameterName, list[Rewrite]] = {}
    for rewrite in rewrites:
        found.setdefault(rewrite.parameter, []).append(rewrite)
    return found


def write(value: Tensor, rewrite: Rewrite, seeds: Tensor) -> None:
    """Write new values in place, for the chosen seeds and entries."""
    mask = per_seed(seeds.to(value.device), value)
    if rewrite.entries is not None:
        mask = mask & rewrite.entries
    value.copy_(torch.where(mask, rewrite.value.to(value.dtype), value))


def squares(value: Tensor) -> Tensor:
    """Squared norms, ``[S]``."""
    return value.double().square().flatten(1).sum(1)
