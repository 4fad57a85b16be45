"""Distances between distributions on finitely many points of the real line.

Tests: tests/studies/tabular/test_distances.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from composer.studies.tabular.noises import Floats


class Distribution(NamedTuple):
    """Points ``[..., k]``, in any order, and their probabilities; the two broadcast."""

    points: Floats
    probabilities: Floats


def equally_likely(points: Floats) -> Distribution:
    """Equal probabilities of samples or quantiles ``[..., k]``."""
    return Distribution(points, np.full(points.shape[-1], 1 / points.shape[-1]))


def wasserstein(first: Distribution, second: Distribution) -> Floats:
    """W1, ``integral |F - G|``, ``[...]``, in the unit of the points."""
    gap, width = _gaps(first, second)
    distance: Floats = (np.abs(gap) * width).sum(-1)
    return distance


def _gaps(first: Distribution, second: Distribution) -> tuple[Floats, Floats]:
    """``F - G`` between neighbouring points of both, and the distances of these points."""
    shape = np.broadcast_shapes(*(array.shape[:-1] for array in (*first, *second)))
    points, jumps = (
        np.concatenate([np.broadcast_to(array, (*shape, array.shape[-1])) for array in pair], axis=-1)
        for pair in (
            (first.points, second.points),
            (
                np.broadcast_to(first.probabilities, np.broadcast_shapes(*(a.shape for a in first))),
                -np.broadcast_to(second.probabilities, np.broadcast_shapes(*(a.shape for a in second))),
            ),
        )
    )
    order = points.argsort(-1, kind="stable")
    ordered = np.take_along_axis(points, order, -1)
    return np.take_along_axis(jumps, order, -1).cumsum(-1)[..., :-1], np.diff(ordered)
