"""Normal likelihood of seeds around a curve, some of them censored (Tobit), and each seed's influence on the estimate.

Legend: N seeds, p parameters of the curve. Tests: tests/studies/scale/test_law.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from composer.studies.statistics import Floats

STEPS: Final = 50
SINGULAR: Final = 1e12
"""Condition of the information above which parameters are not identified."""
Curve = Callable[[Floats], tuple[Floats, Floats]]
"""From parameters ``[p]`` to the mean of each seed ``[N]`` and its Jacobian ``[N, p]``; NaN outside its domain."""


@dataclass(frozen=True)
class Maximum:
    """A maximum of the likelihood."""

    parameters: Floats
    """``[p]``"""
    sigma: float
    """Standard deviation of a seed, the maximum-likelihood estimate."""
    log_likelihood: float
    influence: Floats
    """``[N, p]``: to first order the estimate is its limit plus the sum over seeds."""


def maximise(curve: Curve, start: Floats, values: Floats, side: NDArray[np.int8]) -> Maximum | None:
    """Maximum likelihood from ``start``; None where it finds none, or the parameters are not identified.

    ``side`` is 0 for a value, 1 for a seed of which only a lower bound is known, -1 for an upper bound. Seeds are
    independent and normal around the curve with one standard deviation, Tobin (1958). Fisher scoring, damped as by
    Levenberg and Marquardt.
    """
    spread = float(np.std((values - curve(start)[0])[side == 0])) or float(np.std(values)) or 1.0
    x = np.append(start, np.log(spread))
    terms, scores, information = _terms(curve, x, values, side)
    if not np.isfinite(terms).all():
        return None
    damping = 1e-4
    for _ in range(STEPS):
        diagonal = np.diag(np.diag(information))
        with np.errstate(all="ignore"):
            step = np.linalg.lstsq(information + damping * diagonal, scores.sum(0), rcond=None)[0]
            tried = _terms(curve, x + step, values, side)
        gain = tried[0].sum() - terms.sum()
        if not gain > 0:
            damping *= 10
        else:
            x, (terms, scores, information), damping = x + step, tried, damping / 10
        if damping > 1e8 or abs(gain) < 1e-9:
            break
    if not np.isfinite(information).all() or np.linalg.cond(information) > SINGULAR:
        return None
    influence = np.asarray(np.linalg.solve(information, scores.T).T[:, :-1], np.float64)
    return Maximum(x[:-1], float(np.exp(x[-1])), float(terms.sum()), influence)


def _terms(curve: Curve, x: Floats, values: Floats, side: NDArray[np.int8]) -> tuple[Floats, Floats, Floats]:
    """Log-likelihood ``[N]``, its gradient ``[N, p + 1]`` and the information ``[p + 1, p + 1]``.

    The last parameter is the logarithm of the standard deviation. Values contribute the expected information, bounds
    the observed one.
    """
    from scipy.special import log_ndtr

    mean, slopes = curve(x[:-1])
    with np.errstate(all="ignore"):
        sigma = np.exp(x[-1])
        is_value = side == 0
        t = np.where(is_value, values - mean, side * (mean - values)) / sigma
        tail = log_ndtr(t)
        mills = np.exp(-0.5 * t**2 - 0.5 * np.log(2 * np.pi) - tail)
        steep = mills * (mills + t)
        log = np.where(is_value, -0.5 * t**2 - 0.5 * np.log(2 * np.pi) - x[-1], tail)
        by_mean = np.where(is_value, t, side * mills) / sigma
        by_sigma = np.where(is_value, t**2 - 1, -t * mills)
        mean_mean = np.where(is_value, 1.0, steep) / sigma**2
        mean_sigma = np.where(is_value, 0.0, side * (mills - t * steep)) / sigma
        sigma_sigma = np.where(is_value, 2.0, t**2 * steep - t * mills)
    scores = np.column_stack((slopes * by_mean[:, None], by_sigma))
    information = np.empty((len(x), len(x)))
    information[:-1, :-1] = slopes.T @ (slopes * mean_mean[:, None])
    information[:-1, -1] = information[-1, :-1] = slopes.T @ mean_sigma
    information[-1, -1] = sigma_sigma.sum()
    return log, scores, information
