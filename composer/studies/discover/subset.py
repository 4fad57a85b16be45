"""DiscoBAX's subset: points whose best effect is expected to be large under noise that strikes similar points alike.

Its value is ``E max over x in S of max(0, f(x) + noise(x))`` with noise from a Gaussian process, so that two points
that fail together are worth little more than one. It is monotone and submodular: greedy choice reaches at least
1 - 1/e of the best. Source: Lyle et al., "DiscoBAX: Discovery of optimal intervention sets in genomic experiment
design", arXiv:2312.04064, the additive model. Legend: n points, D draws. Tests: tests/studies/discover/test_subset.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from composer.studies.statistics import Floats

NOISE: Final = 1.0
"""Standard deviation of the noise, in those of the scores."""
LENGTH: Final = 0.25
"""Length scale of the noise, in lengths of the diagonal of the cube of features."""


def noise(vectors: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """``[draws, n]``: the noise at the points ``vectors [n, d]``, with a squared-exponential covariance."""
    scale = LENGTH * np.sqrt(max(vectors.shape[1], 1))
    squares = ((vectors[:, None] - vectors[None]) ** 2).sum(-1)
    return NOISE * normal(np.exp(-0.5 * squares / scale**2), draws, rng)


def normal(covariance: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """``[draws, n]`` normal vectors of mean 0."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    made: Floats = rng.standard_normal((draws, len(covariance))) @ root.T
    return made


def worth(effects: Floats, noises: Floats) -> Floats:
    """``max(0, f + noise)`` for every pair of ``effects [F, n]`` and ``noises [E, n]``: ``[F E, n]``."""
    made: Floats = np.maximum(0.0, effects[:, None] + noises[None]).reshape(-1, effects.shape[1])
    return made


def value(each: Floats, subset: Sequence[int]) -> float:
    """The value of a subset, from what its points are worth ``[D, n]``."""
    return float(each[:, list(subset)].max(1).mean()) if len(subset) else 0.0


def greedy(each: Floats, size: int) -> tuple[list[int], list[float]]:
    """Points in the order in which they are chosen, and what each adds to the value; none twice."""
    chosen: list[int] = []
    gains: list[float] = []
    best = np.zeros(len(each))
    for _ in range(min(size, each.shape[1])):
        after = np.maximum(each, best[:, None]).mean(0)
        # A chosen point adds nothing, and neither may others: without this, ties would choose it again.
        after[chosen] = -np.inf
        index = int(after.argmax())
        chosen.append(index)
        gains.append(float(after[index] - best.mean()))
        best = np.maximum(best, each[:, index])
    return chosen, gains
