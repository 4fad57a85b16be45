"""Return distributions as m quantiles: quantile TD (QTD), its expected step, quantile dynamic programming.

Sources: Rowland et al., arXiv:2305.18388 (QTD for values) and arXiv:2301.04462 (its convergence to the fixed points of
quantile dynamic programming). Legend: n states, m quantiles at the levels tau_i = (2i - 1) / 2m.
Tests: tests/studies/tabular/test_quantile.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from composer.studies.tabular.chains import Chain, Indices
from composer.studies.tabular.noises import Finite, Floats, Smooth

HALVINGS = 12
"""Bisections of a quantile's bracket in one sweep: it shrinks by a factor of 4,096."""
ROUNDING = 1e-12
"""Cumulative probabilities this close count as equal when the quantile of a level is chosen."""


@dataclass(frozen=True)
class StepSize:
    """``first / (1 + k / delay) ^ power`` after k updates: constant at power 0, Robbins and Monro's in (1/2, 1]."""

    first: float
    power: float = 0.0
    delay: float = 1.0

    def __call__(self, updates: int) -> float:
        """The step size after so many updates."""
        return float(self.first / (1 + updates / self.delay) ** self.power)


def levels(m: int) -> Floats:
    """``(2i - 1) / 2m``, ``[m]``."""
    return (np.arange(m) + 0.5) / m


def update(quantiles: Floats, rewards: Floats, successors: Indices, discount: float, rate: Floats | float) -> Floats:
    """QTD of every state of every run after one transition.

    ``theta_i(x) += rate * mean_j (tau_i - 1{R + discount theta_j(Y) < theta_i(x)})``. A step is at most ``rate``,
    which has the unit of returns.

    Args:
        quantiles: ``[..., S, n, m]``.
        rewards: ``[S, n]``.
        successors: ``[S, n]``.
        discount: The chain's.
        rate: A number, or an array that broadcasts to ``quantiles``.
    """
    m = quantiles.shape[-1]
    after = np.take_along_axis(quantiles, successors[(None,) * (quantiles.ndim - 3)][..., None], axis=-2)
    targets = rewards[..., None] + discount * after
    exceeded = np.count_nonzero(targets[..., None, :] < quantiles[..., None], axis=-1) / m
    learned: Floats = quantiles + rate * (levels(m) - exceeded)
    return learned


def backup(chain: Chain, quantiles: Floats, radius: float = np.inf) -> Floats:
    """One sweep: the lowest quantiles of ``R + discount theta_J(Y)`` at the levels, ``[n, m]``.

    They are at most ``radius`` from ``quantiles``, which bounds the search where the noise has a density.
    """
    if isinstance(chain.noise, Finite):
        return np.stack([_sorted(chain, chain.noise, x, quantiles) for x in range(chain.states)])
    assert isinstance(chain.noise, Smooth)
    return np.stack([_bisected(chain, chain.noise, x, quantiles, radius) for x in range(chain.states)])


def fixed_point(chain: Chain, m: int, tolerance: float = 1e-9) -> tuple[Floats, int]:
    """Quantiles ``[n, m]`` within ``tolerance`` of the fixed point of dynamic programming, and the number of sweeps.

    A sweep contracts the largest distance of two sets of quantiles by the discount, which bounds the remaining error.
    """
    current = np.repeat(chain.values()[:, None], m, axis=1)
    sweeps, radius = 0, np.inf
    while True:
        following = backup(chain, current, radius)
        moved = float(np.abs(following - current).max())
        current, sweeps = following, sweeps + 1
        # A bisected sweep is exact only to the width of its last bracket.
        blur = 2 * radius / 2**HALVINGS if isinstance(chain.noise, Smooth) and np.isfinite(radius) else 0.0
        radius = chain.discount * moved + blur + ROUNDING
        if radius / (1 - chain.discount) <= tolerance:
            return current, sweeps


def _targets(chain: Chain, x: int, quantiles: Floats) -> tuple[Floats, Floats]:
    """Targets of a step from x without noise, and their probabilities, both ``[k]``."""
    (reached,) = np.nonzero(chain.transition[x])
    points = chain.rewards[x] + chain.discount * quantiles[reached].ravel()
    return points, np.repeat(chain.transition[x, reached], quantiles.shape[1]) / quantiles.shape[1]


def _sorted(chain: Chain, noise: Finite, x: int, quantiles: Floats) -> Floats:
    points, weights = _targets(chain, x, quantiles)
    points = (points[:, None] + chain.scale * np.asarray(noise.values)).ravel()
    weights = (weights[:, None] * np.asarray(noise.weights)).ravel()
    order = points.argsort(kind="stable")
    reached = weights[order].cumsum()
    found = reached.searchsorted(levels(quantiles.shape[1]) - ROUNDING)
    lowest: Floats = points[order][found]
    return lowest


def _bisected(chain: Chain, noise: Smooth, x: int, quantiles: Floats, radius: float) -> Floats:
    points, weights = _targets(chain, x, quantiles)
    wanted = levels(quantiles.shape[1])
    # A quantile of a mixture of shifted noises is between those of the least and the most shifted.
    own = chain.scale * noise.quantile(wanted)
    low = np.maximum(points.min() + own, quantiles[x] - radius)
    high = np.minimum(points.max() + own, quantiles[x] + radius)
    for _ in range(HALVINGS if np.isfinite(radius) else 50):
        middle = 0.5 * (low + high)
        is_low = noise.below((middle[:, None] - points) / chain.scale) @ weights < wanted
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    found: Floats = 0.5 * (low + high)
    return found
