"""What the tests compare the tabular methods with: returns, expected steps, a distance, all noises."""

from __future__ import annotations

import numpy as np

from composer.studies.tabular.chains import Chain
from composer.studies.tabular.distances import Distribution, _gaps
from composer.studies.tabular.noises import EXPONENTIAL, GAUSSIAN, NONE, STUDENT, Finite, Floats, Noise
from composer.studies.tabular.quantile import _targets, backup, levels

COIN = Finite("coin", (-1.0, 1.0), (0.5, 0.5))
NOISES: dict[str, Noise] = {noise.name: noise for noise in (NONE, COIN, GAUSSIAN, EXPONENTIAL, STUDENT)}


def sample_returns(chain: Chain, rng: np.random.Generator, count: int, cut: float = 1e-6) -> Floats:
    """Sampled returns ``[n, count]`` of every state, without rewards whose weight is below ``cut``."""
    return chain.returns(rng, count, chain.horizon(cut))


def drift(chain: Chain, quantiles: Floats) -> Floats:
    """The expected QTD step divided by its rate, ``[n, m]``: ``tau_i - P(R + discount theta_J(Y) < theta_i(x))``."""
    chances = []
    for x in range(chain.states):
        points, weights = _targets(chain, x, quantiles)
        chances.append(chain.noise.below((quantiles[x][:, None] - points) / chain.scale) @ weights)
    return levels(quantiles.shape[-1]) - np.stack(chances)


def residual(chain: Chain, quantiles: Floats) -> float:
    """The largest change of a quantile in one sweep: zero at a fixed point."""
    return float(np.abs(backup(chain, quantiles) - quantiles).max())


def cramer(first: Distribution, second: Distribution) -> Floats:
    """Square root of ``integral (F - G)^2``, ``[...]``, in which categorical operators contract."""
    gap, width = _gaps(first, second)
    distance: Floats = np.sqrt((gap * gap * width).sum(-1))
    return distance
