"""From paired scores to an answer: the gain by fresh weights, its interval, and one of three verdicts.

Legend: S seeds, N branches of a seed, R repetitions. Tests: tests/studies/test_doctor.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from composer.studies.statistics import LEVEL, REPETITIONS, SEED, Estimate, Floats

MARGIN: Final = 0.1
"""Share of the plain score: a gain that may be larger is not ruled out by an interval that holds 0."""
EXACT: Final = 16
"""Most pairs whose signs are all flipped in turn; of more, ``REPETITIONS`` flips are drawn."""
LEAST: Final = math.ceil(math.log2(1 / (1 - LEVEL)))
"""Pairs that it takes for p < 1 - LEVEL, even if all gain."""

Verdict = Literal["losing plasticity", "not losing plasticity", "cannot tell"]


@dataclass(frozen=True)
class Diagnosis:
    """The answer, and what it rests on."""

    verdict: Verdict
    gain: Estimate
    """Mean score with fresh weights less that without; bounds are NaN for one pair."""
    p_value: float
    plain: float
    """Mean score without."""


def diagnose(plain: Floats, injected: Floats) -> Diagnosis:
    """Judge scores ``[S, N]`` without and with fresh weights, pair by pair.

    - losing plasticity: the interval of the gain lies above 0, and p is at most 5 %;
    - not losing plasticity: otherwise, if the interval ends below a tenth of the plain score, be it all negative;
    - cannot tell: fewer than 5 pairs, or both no gain and one of more than a tenth are within the interval.
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
    """Mean of ``gains [S, N]`` with its percentile interval: seeds are drawn anew, then branches within each.

    Branches of a seed begin with the same network, so that they are not as good as as many seeds.
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
    """One-sided p of the mean gain: how often it is as large where every pair's sign is tossed for.

    Without an effect, either fork of a pair is as likely to score higher. Exact up to 16 pairs.
    """
    flat, n = gains.ravel(), gains.size
    if n <= EXACT:
        signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    else:
        signs = 1 - 2 * np.random.default_rng(SEED).integers(2, size=(REPETITIONS, n))
        signs = np.concatenate([np.ones((1, n), signs.dtype), signs])
    # A sum and its own mirror image may differ in the last place.
    sums = signs @ flat
    return float((sums >= flat.sum() - 1e-9 * np.abs(flat).sum()).mean())
