"""The gain by fresh weights from paired scores, its interval, and one of three verdicts.

Legend: S seeds, N branches per seed, R repetitions. Tests: tests/studies/test_doctor.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from composer.spec.interval import LEAST as LEAST_SEEDS
from composer.spec.interval import LEVEL, UNBOUNDED, Bounds
from composer.spec.interval import interval as t_interval
from composer.studies.statistics import Estimate, Floats, p_text

MARGIN: Final = 0.1
"""A gain or a loss up to this share of the plain score counts as none."""
REPETITIONS: Final = 10_000
SEED: Final = 0
"""Number and seed of drawn sign flips: equal runs give equal figures."""
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
    """Mean score with fresh weights minus the mean without; the bounds are NaN for too few pairs."""
    p_value: float
    plain: float
    """Mean score without fresh weights."""
    why: str = ""
    """Why it cannot be told; empty where it can."""

    @property
    def advice(self) -> str:
        """What may give an answer where there is none."""
        differs = self.gain.low != self.gain.high
        more = "more --branches, more seeds or a longer --horizon"
        return f"{more if differs else 'a longer --horizon, or a moment at which more is left to learn,'} may tell"

    @property
    def margin(self) -> float:
        """The largest gain, and the largest loss, that count as none."""
        return MARGIN * abs(self.plain)


def diagnose(plain: Floats, injected: Floats, bounds: Bounds = UNBOUNDED) -> Diagnosis:
    """Compare scores ``[S, N]`` without and with fresh weights, pair by pair; ``bounds`` are those of a score.

    - losing plasticity: the interval of the gain is above 0, and p is at most 5 %;
    - not losing plasticity: the interval is within a tenth of the plain score around 0 (an equivalence test);
    - cannot tell: everything else, in particular fewer than 5 pairs, and pairs that do not differ.
    """
    gains, width = injected - plain, bounds[1] - bounds[0]
    gain, p_value, score = interval(gains, (-width, width)), flips(gains), float(plain.mean())
    margin = MARGIN * abs(score)
    if gains.size < LEAST:
        verdict, why = "cannot tell", f"{gains.size} pairs are too few for any claim: p < {1 - LEVEL:.2f} takes {LEAST}"
    elif not gains.any():
        verdict, why = "cannot tell", _why_equal(plain, bounds)
    elif gain.low > 0 and p_value <= 1 - LEVEL:
        verdict, why = "losing plasticity", ""
    elif -margin <= gain.low and gain.high <= margin:
        verdict, why = "not losing plasticity", ""
    else:
        verdict, why = "cannot tell", _why_open(gain, margin)
    return Diagnosis(verdict, gain, p_value, score, why)  # type: ignore[arg-type]


def _why_equal(plain: Floats, bounds: Bounds) -> str:
    if (plain >= bounds[1]).all():
        return f"every fork has the highest possible score, {bounds[1]:g}, so that nothing is left to gain"
    return "no pair differs: the scores do not depend on what the forks have learned until the horizon"


def _why_open(gain: Estimate, margin: float) -> str:
    if gain.high < -margin:
        return "fresh weights make it worse, which says nothing of the old ones"
    if gain.low > -margin and gain.high > margin:
        return f"a gain of more than {MARGIN:.0%} of the score is possible, and so is none"
    return f"the interval reaches beyond {MARGIN:.0%} of the score"


def answer(diagnosis: Diagnosis, effect: str, pairs: int) -> str:
    """The verdict in a sentence; ``effect`` says what fresh weights changed, and by how much."""
    what = f"{effect} ({pairs} pairs, one-sided p {p_text(diagnosis.p_value)})"
    if diagnosis.verdict == "cannot tell":
        return f"cannot tell: {diagnosis.why}; {what}; {diagnosis.advice}"
    if diagnosis.verdict == "losing plasticity":
        return f"losing plasticity: {what}"
    return f"not losing plasticity: {what}; a gain of more than {diagnosis.margin:.3g} ({MARGIN:.0%}) is excluded"


def interval(gains: Floats, bounds: Bounds = UNBOUNDED) -> Estimate:
    """Mean of ``gains [S, N]`` with its interval, over the means of seeds.

    Branches of a seed begin with the same network, so they are worth less than as many seeds. With fewer than three
    seeds it is over the branches of each, and holds for these seeds alone.
    """
    strata = [gains.mean(1)] if len(gains) >= LEAST_SEEDS else [each / len(gains) for each in gains]
    value = float(gains.mean())
    low, high = t_interval(value, strata, bounds)
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
