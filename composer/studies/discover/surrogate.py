"""A Gaussian process over the points of a study, fitted to the scores of those that were trained.

Legend: n points, m trained. Tests: tests/studies/discover/test_acquisition.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from composer.studies.discover.subset import normal
from composer.studies.statistics import Floats

LENGTHS: Final = (0.1, 10.0)
"""Bounds of length scales, in lengths of an axis."""
FLOOR: Final = 1e-4
"""Least variance of a score, in variances of scores: of runs without spread."""
PER_FEATURE: Final = 5
"""From so many trained points per feature on, each feature has a length scale of its own."""


@dataclass(frozen=True)
class Posterior:
    """What is known of the scores of all points, in units of ``spread`` around ``centre``."""

    mean: Floats
    """``[n]``"""
    covariance: Floats
    """``[n, n]``, of scores without the noise of seeds."""
    noise: float
    """Variance of the score of one more run around its point's."""
    centre: float
    spread: float

    def samples(self, count: int, rng: np.random.Generator) -> Floats:
        """``[count, n]`` functions that the scores allow."""
        return self.mean + normal(self.covariance, count, rng)


def posterior(vectors: Floats, trained: Sequence[int], scores: Sequence[Floats], seed: int) -> Posterior:
    """From the scores of the seeds of each trained point; the covariance's scales maximise the marginal likelihood.

    A mean of more seeds counts more: the variance of seeds, pooled over points, is divided by their number. Where no
    point has two seeds, it is fitted too.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    means = np.array([each.mean() for each in scores])
    centre, spread = float(means.mean()), float(means.std()) or 1.0
    counts = np.array([len(each) for each in scores])
    within = _within(scores)
    d = vectors.shape[1]
    scale = np.full(d, 0.5) if len(trained) >= PER_FEATURE * d else 0.5
    kernel = ConstantKernel(1.0, (0.1, 10.0)) * RBF(scale, LENGTHS)
    if within is None:
        kernel = kernel + WhiteKernel(0.1, (FLOOR, 1.0))
    variances = np.full(len(means), FLOOR) if within is None else np.maximum(within / counts / spread**2, FLOOR)
    process = GaussianProcessRegressor(kernel, alpha=variances, n_restarts_optimizer=2, random_state=seed)
    with warnings.catch_warnings():
        # A length scale at its bound is an axis without an effect, or an effect without a shape: both are usual.
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(vectors[list(trained)], (means - centre) / spread)
    noise = float(process.kernel_.k2.noise_level) if within is None else float(variances.mean())
    mean, covariance = process.predict(vectors, return_cov=True)
    if within is None:
        covariance = covariance - noise * np.eye(len(covariance))
    return Posterior(mean, (covariance + covariance.T) / 2, noise, centre, spread)


def _within(scores: Sequence[Floats]) -> float | None:
    """The variance of seeds around their point's mean, pooled over points; None where no point has two."""
    freedom = sum(len(each) - 1 for each in scores)
    return sum(float(((each - each.mean()) ** 2).sum()) for each in scores) / freedom if freedom else None
