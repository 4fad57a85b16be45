"""Spearman's rank correlation of every pair of metrics. Pure, on numpy and scipy.

Source: Spearman, American Journal of Psychology 15 (1904), p. 72: Pearson's correlation of ranks, ties averaged.
Legend: M metrics, n points. Tests: tests/studies/test_correlate.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from composer.studies.statistics import Floats

LEAST_POINTS = 4
"""With fewer points there is no correlation: any three are in order once in six times."""


def rank_correlations(x: Floats, y: Floats) -> Floats:
    """Correlations ``[A, B]`` of the rows of ``x [A, n]`` with those of ``y [B, n]``; NaN where a row is constant."""
    left, right = _standardised(x), _standardised(y)
    return np.clip(left @ right.T, -1.0, 1.0)


def pairwise(values: Floats, differences: bool = False) -> tuple[Floats, NDArray[np.int64]]:
    """Correlations ``[M, M]`` of the rows of ``values [M, n]``, and how many points each is of.

    A value that is NaN is missing: each pair is correlated at the points that both have, with ``differences`` the
    changes between these. NaN where there are fewer than ``LEAST_POINTS``, or a row is constant there.
    """
    count = len(values)
    found, points = np.full((count, count), np.nan), np.zeros((count, count), np.int64)
    # Metrics that are written at the same steps are correlated at once.
    patterns, which = np.unique(np.isfinite(values), axis=0, return_inverse=True)
    rows = [np.flatnonzero(which.ravel() == number) for number in range(len(patterns))]
    for one, ours in enumerate(rows):
        for other, theirs in enumerate(rows[one:], one):
            common = patterns[one] & patterns[other]
            x, y = values[np.ix_(ours, common)], values[np.ix_(theirs, common)]
            if differences:
                x, y = np.diff(x, axis=1), np.diff(y, axis=1)
            points[np.ix_(ours, theirs)] = points[np.ix_(theirs, ours)] = x.shape[1]
            if x.shape[1] >= LEAST_POINTS:
                block = rank_correlations(x, y)
                found[np.ix_(ours, theirs)], found[np.ix_(theirs, ours)] = block, block.T
    return found, points


def clustered(correlations: Floats) -> list[int]:
    """An order of metrics in which those that correlate, in either direction, are neighbours."""
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    if len(correlations) < 3:
        return list(range(len(correlations)))
    distance = 1 - np.abs(np.nan_to_num(correlations))
    np.fill_diagonal(distance, 0.0)
    near = squareform((distance + distance.T) / 2, checks=False)
    return [int(number) for number in leaves_list(optimal_leaf_ordering(linkage(near, "average"), near))]


def _standardised(rows: Floats) -> Floats:
    """Ranks of each row with mean 0 and length 1; NaN for a constant row."""
    from scipy.stats import rankdata

    ranks = rankdata(rows, axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    length = np.sqrt((ranks**2).sum(1, keepdims=True))
    unit: Floats = np.divide(ranks, length, out=np.full_like(ranks, np.nan), where=length > 0)
    return unit
