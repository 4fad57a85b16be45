"""Which points to train next: those whose scores would say most about the subset that is looked for.

Source: DiscoBAX, arXiv:2312.04064: the expected information gain about the output of the greedy algorithm. For each of
many functions that the scores allow, its subset is taken as seen; the gain of a point is how much that narrows its
score. For a Gaussian process the entropies are those of normals. A batch is chosen one by one, each as if those before
were trained (the released code takes the highest gains at once, which are often neighbours).
Legend: n points, F functions, k points of a subset. Tests: tests/studies/discover/test_acquisition.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from composer.studies.discover.subset import greedy, worth
from composer.studies.discover.surrogate import Posterior
from composer.studies.statistics import Floats

JITTER = 1e-8


class Choice(NamedTuple):
    """Points to train next."""

    points: list[int]
    gains: list[float]
    """Expected information gain of each, in nats, given those before it."""


def subsets(functions: Floats, noises: Floats, size: int) -> list[list[int]]:
    """The greedy subset of each function ``[F, n]``."""
    return [greedy(worth(each[None], noises), size)[0] for each in functions]


def information(covariance: Floats, noise: float, seen: Sequence[Sequence[int]]) -> Floats:
    """``[n]``: expected information gain of a run at each point about the subsets ``seen``, in nats."""
    before = np.maximum(covariance.diagonal(), 0.0)
    total = np.zeros(len(covariance))
    for subset in seen:
        chosen = list(subset)
        own = covariance[np.ix_(chosen, chosen)] + JITTER * np.eye(len(chosen))
        explained = (covariance[:, chosen] * np.linalg.solve(own, covariance[chosen]).T).sum(1)
        after = np.maximum(before - explained, 0.0)
        total += 0.5 * np.log((before + noise) / (after + noise))
    return total / len(seen)


def choose(belief: Posterior, seen: Sequence[Sequence[int]], count: int, trained: Sequence[int]) -> Choice:
    """The next ``count`` points among those that are not ``trained``."""
    covariance, chosen, gains = belief.covariance.copy(), list[int](), list[float]()
    for _ in range(min(count, len(covariance) - len(trained))):
        each = information(covariance, belief.noise, seen)
        each[[*trained, *chosen]] = -np.inf
        index = int(each.argmax())
        chosen.append(index)
        gains.append(float(each[index]))
        column = covariance[:, index]
        covariance = covariance - np.outer(column, column) / (covariance[index, index] + belief.noise)
    return Choice(chosen, gains)
