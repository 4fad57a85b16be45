"""Distances against scipy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from tabular_oracles import cramer

from composer.studies.tabular.distances import Distribution, equally_likely, wasserstein


def test_distances_are_scipys_row_by_row() -> None:
    rng = np.random.default_rng(0)
    first = Distribution(rng.normal(size=(3, 6)), rng.dirichlet(np.ones(6), 3))
    second = equally_likely(rng.normal(size=9))
    ours, energy = wasserstein(first, second), cramer(first, second)
    for row in range(3):
        arguments = first.points[row], second.points, first.probabilities[row], second.probabilities
        assert ours[row] == pytest.approx(stats.wasserstein_distance(*arguments), rel=1e-12)
        # scipy's energy distance is the root of twice the integral.
        assert energy[row] == pytest.approx(stats.energy_distance(*arguments) / np.sqrt(2), rel=1e-12)


def test_a_point_shifted_and_ties() -> None:
    zero, two = equally_likely(np.zeros(1)), equally_likely(np.array([2.0, 2.0]))
    assert wasserstein(zero, two) == 2 and cramer(zero, two) == np.sqrt(2)
    assert wasserstein(two, two) == cramer(two, two) == 0
