"""Activations with parameters as modules. Tests: tests/papers/test_plastic_activations.py."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

NUMERATOR = (0.0335721, 0.50500858, 1.65271746, 2.00818107, 0.93060635, 0.1521379)
DENOMINATOR = (0.0, 3.97648086, 0.0, 0.30125302)
"""Coefficients of ``x``, ``x^2`` and so on: with those above, the least squares fit of a leaky ReLU on [-3, 3]."""


class PReLU(nn.Module):
    """``max(x, 0) + slope min(x, 0)`` with a slope per feature. Source: arXiv:1502.01852."""

    def __init__(self, features: int, trailing: int = 0) -> None:
        """``trailing``: axes behind that of features, 2 for images."""
        super().__init__()
        self.slope = nn.Parameter(torch.empty(features))
        self.trailing = trailing

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape."""
        slope = self.slope.view(-1, *[1] * self.trailing)
        return x.clamp_min(0) + slope * x.clamp_max(0)


class Rational(nn.Module):
    """``P(x) / (1 + |Q(x)|)`` with learned differences from the first coefficients. Source: arXiv:1907.06732."""

    def __init__(self) -> None:
        super().__init__()
        self.numerator = nn.Parameter(torch.empty(len(NUMERATOR)))
        self.denominator = nn.Parameter(torch.empty(len(DENOMINATOR)))

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape."""
        above = _polynomial(x, [first + self.numerator[i] for i, first in enumerate(NUMERATOR)])
        below = x * _polynomial(x, [first + self.denominator[i] for i, first in enumerate(DENOMINATOR)])
        return above / (1 + below.abs())


def _polynomial(x: Tensor, coefficients: Sequence[Tensor]) -> Tensor:
    """Horner's rule; the coefficient of ``x^0`` first."""
    value = coefficients[-1].expand_as(x)
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value
