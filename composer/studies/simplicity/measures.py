"""What ``composer simplicity`` measures of a function on a square: frequency, polynomial order, Lempel-Ziv phrases.

Tests: tests/papers/test_measures_of_spectra.py, tests/papers/test_neural_redshift.py.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import ClassVar, Final

import torch
from torch import Tensor
from typing_extensions import override

from composer.diagnostics.formulas.lempel_ziv import levels, phrases
from composer.diagnostics.formulas.polynomial import chebyshev_coefficients, mean_order, nodes
from composer.diagnostics.formulas.spectrum import mean_frequency, plane, simplicity

SCORE: Final = "score"
LEVELS: Final = 10
"""Levels of an output that is parsed into phrases."""


class Measure(ABC):
    """A measure of functions by their values ``[n, n]`` on a grid."""

    name: ClassVar[str]
    score_title: ClassVar[str]
    """What ``scores`` gives first, for people."""
    title: ClassVar[str]
    """What ``complexity`` gives, for people."""
    points: ClassVar[int]
    """Points on each axis of the grid for networks of blueprints."""
    grid_note: ClassVar[str]

    def grid(self, points: int, extent: float) -> Tensor:
        """``[points^2, 2]`` over ``[-extent, extent]^2``, row by row."""
        return plane(points, extent)

    @abstractmethod
    def complexity(self, surface: Tensor) -> float:
        """Higher for what is less simple."""

    def scores(self, surface: Tensor) -> dict[str, float]:
        """The score of a network of a blueprint by name, that of the table first."""
        return {SCORE: self.complexity(surface)}


class Fourier(Measure):
    """Frequencies: the score of SimBa (arXiv:2410.09754, appendices A and B), the complexity of Neural Redshift."""

    name = "fourier"
    score_title = "mean of 1/c"
    title = "mean frequency / largest frequency"
    points = 300
    grid_note = "integer index"

    @override
    def complexity(self, surface: Tensor) -> float:
        """The mean frequency without the constant term, as a share of the largest one of the grid."""
        if not float(surface.max() - surface.min()):
            return 0.0
        return float(mean_frequency(surface, constant=False)) / (surface.shape[-1] / 2 * math.sqrt(2))

    @override
    def scores(self, surface: Tensor) -> dict[str, float]:
        """1 / c as published, with the constant term of the transform in the denominator, and without it."""
        whole, varying = float(simplicity(surface)), float(simplicity(surface, constant=False))
        return {SCORE: whole, "score_without_constant": varying}


class Polynomial(Measure):
    """The mean order of Chebyshev polynomials, weighted by the sizes of their coefficients."""

    name = "polynomial"
    score_title = title = "mean polynomial order"
    points = 101
    grid_note = "Chebyshev nodes, total order j + k"

    @override
    def grid(self, points: int, extent: float) -> Tensor:
        axis = nodes(points) * extent
        return torch.cartesian_prod(axis, axis)

    @override
    def complexity(self, surface: Tensor) -> float:
        return float(mean_order(chebyshev_coefficients(surface)))


class LempelZiv(Measure):
    """Distinct phrases of the discretised outputs, row by row, as a share of the points."""

    name = "lempel_ziv"
    score_title = title = "Lempel-Ziv phrases / points"
    points = 100
    grid_note = f"{LEVELS} levels of equal height, row by row"

    @override
    def complexity(self, surface: Tensor) -> float:
        return phrases(levels(surface, LEVELS).flatten().tolist()) / surface.numel()


MEASURES: Final = MappingProxyType({each.name: each for each in (Fourier(), Polynomial(), LempelZiv())})
