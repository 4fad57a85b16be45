"""The gain by fresh weights from paired scores, its interval, and one of three verdicts.

Legend: S seeds, N branches per seed, R repetitions. Tests: tests/studies/test_doctor.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from composer.studies.statistics import LEVEL, REPETITIONS, SEED, Estimate, Floats

MARGIN: Final = 0.1
"""A gain up to this share of the plain score counts as none."""
EXACT: Final = 16
"""Up to so many pairs all sign flips are enumerated; for more, ``REPETITIONS`` flips are drawn."""
LEAST: Final = math.ceil(math.log2(1 / (1 - LEVEL)))
"""Number of pairs from which p < 1 - LEVEL is possible."""

Verdict = Literal["losing plasticity", "not losing plasticity", "cannot tell"]


@dataclass(frozen=True)
class Diagnosis:
    """A verdict and the numbers that it follows from."""

    verdict: Verdict
    gain: Estimate
    """Mean score with fresh weights minus the mean without; the bounds are NaN for one pair."""
    p_value: float
    plain: float
    """Mean score without fresh weights."""


def diagnose(plain: Floats, injected: Floats) -> Diagnosis:
    """Compare scores ``[S, N]`` without and with fresh weights, pair by pair.

    - losing plasticity: the interval of the gain is above 0, and p is at most 5 %;
    - not losing plasticity: otherwise, if the interval ends below a tenth of the plain score;
    - cannot tell: fewer than 5 pairs, or the interval contains both 0 and gains above a tenth of the plain score.
    """
    gains = injected - plain
    gain, p_value, score = interval(gains), flips(gains), float(plain.mean())
    if gains.size < LEAST:
        verdict: Verdict = "cannot tell"
    elif gain.low > 0 and p_value <= 1 - LEVEL:
        verdict = "losing plasticity"
    else:
        verdict = "not losing plasticity" if gain.high <= MARGIN * abs(score) else "cannot tell"
    return Diagnosis(verdict, gain, p_value, score)


def interval(gains: Floats) -> Estimate:
    """Mean of ``gains [S, N]`` with its percentile interval: seeds are resampled, then branches within each.

    Branches of a seed begin with the same network, so they are worth less than as many seeds.
    """
    value = float(gains.mean())
    if gains.size == 1:
        return Estimate(value, math.nan, math.nan)
    rng, (seeds, branches) = np.random.default_rng(SEED), gains.shape
    drawn = rng.integers(seeds, size=(REPETITIONS, seeds, 1))
    within = rng.integers(branches, size=(REPETITIONS, seeds, branches))
    low, high = np.quantile(gains[drawn, within].mean((1, 2)), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def flips(gains: Floats) -> float:
    """One-sided p of the mean gain by the sign-flip test: how often random signs of the pairs give as large a mean.

    Without an effect, either fork of a pair is equally likely to score higher. Exact up to 16 pairs.
    """
    flat, n = gains.ravel(), gains.size
    if n <= EXACT:
        signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    else:
        signs = 1 - 2 * np.random.default_rng(SEED).integers(2, size=(REPETITIONS, n))
        signs = np.concatenate([np.ones((1, n), signs.dtype), signs])
    # Equal sums may differ in the last digit.
    sums = signs @ flat
    return float((sums >= flat.sum() - 1e-9 * np.abs(flat).sum()).mean())
