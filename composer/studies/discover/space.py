"""The points of a study as vectors, as a Gaussian process sees them, and designs that fill the space.

Legend: n points, d features. Tests: tests/studies/discover/test_space.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from composer.studies.statistics import Floats
from composer.studies.study.points import Point, Value

DECADE: Final = 10.0
"""A positive axis whose largest value is at least this many times its smallest counts by its logarithm."""


def features(points: Sequence[Point]) -> Floats:
    """``[n, d]``: each axis from 0 to 1, booleans 0 and 1, two different words at distance 1; no axis of one value."""
    axes = dict.fromkeys(axis for point in points for axis in point.values)
    columns = [_column([point.values[axis] for point in points]) for axis in axes]
    return np.column_stack([np.zeros((len(points), 0)), *columns])


def space_filling(vectors: Floats, count: int, taken: Sequence[int], rng: np.random.Generator) -> list[int]:
    """``count`` points, each the farthest from all before it and from those ``taken``; the first of all is point 0.

    Equal distances are drawn by ``rng``.
    """
    chosen: list[int] = []
    away = np.full(len(vectors), math.inf)
    for index in taken:
        away = np.minimum(away, np.linalg.norm(vectors - vectors[index], axis=1))
    for _ in range(min(count, len(vectors) - len(taken))):
        free = np.setdiff1d(np.arange(len(vectors)), [*taken, *chosen])
        farthest = free[away[free] >= away[free].max() * (1 - 1e-9)]
        index = 0 if not (taken or chosen) else int(rng.choice(farthest))
        chosen.append(index)
        away = np.minimum(away, np.linalg.norm(vectors - vectors[index], axis=1))
    return chosen


def _column(values: Sequence[Value]) -> Floats:
    """``[n, k]``: the features of one axis."""
    distinct = list(dict.fromkeys(values))
    if len(distinct) == 1:
        return np.zeros((len(values), 0))
    if any(isinstance(value, str) for value in distinct):
        return np.array([[value == word for word in distinct] for value in values]) / math.sqrt(2)
    numbers = np.array(values, np.float64)
    if numbers.min() > 0 and numbers.max() >= DECADE * numbers.min():
        numbers = np.log(numbers)
    scaled: Floats = (numbers - numbers.min()) / np.ptp(numbers)
    return scaled[:, None]
