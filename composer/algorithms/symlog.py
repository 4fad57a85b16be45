"""The symmetric logarithm and its inverse, DreamerV3's squashing of numbers. Tests: tests/papers/test_two_hot.py."""

from __future__ import annotations

import torch
from torch import Tensor


def symlog(values: Tensor) -> Tensor:
    """``sign(x) ln(1 + |x|)``. Source: DreamerV3, arXiv:2301.04104."""
    return torch.sign(values) * torch.log1p(values.abs())


def symexp(values: Tensor) -> Tensor:
    """``sign(x) (exp(|x|) - 1)``, the inverse of ``symlog``."""
    return torch.sign(values) * torch.expm1(values.abs())
