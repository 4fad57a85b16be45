"""How often the intervals of `composer scale` hold what they are of, where the truth is known.

    python -m benchmarks.scale_coverage --repeats 2000

Seeds are log-normal around ``c + 1000 (x / 16)^-0.8`` at widths 16 to 128, and 256 is predicted. Seeds above ``limit``
never arrive: only their bound is known. Tests: tests/studies/scale/test_law.py.
"""

from __future__ import annotations

import argparse
import json
import math
from typing import NamedTuple

import numpy as np

from composer.spec.interval import LEVEL
from composer.studies.scale.law import Sample, fit
from composer.studies.statistics import Floats

WIDTHS, NEXT, EXPONENT = np.array([16.0, 32.0, 64.0, 128.0]), 256.0, -0.8


class Case(NamedTuple):
    """A kind of study."""

    name: str
    seeds: int
    limit: float = math.inf
    first_spread: float = 0.2
    """Standard deviation of logarithms at the smallest width; 0.2 at the others."""
    offset: float = 0.0


CASES = (
    Case("3 seeds", 3),
    Case("5 seeds", 5),
    Case("10 seeds", 10),
    Case("5 seeds, three times the spread at the smallest width", 5, first_spread=0.6),
    Case("10 seeds, half of the smallest width never arrive", 10, limit=1000.0),
    Case("5 seeds, 70 % of the smallest width never arrive", 5, limit=900.0),
    Case("10 seeds, an offset of 100 that cannot be seen", 10, offset=100.0),
)


def drawn(rng: np.random.Generator, sizes: Floats, case: Case) -> Floats:
    """``[sizes, seeds]``: the value of each seed."""
    spread = np.where(sizes == WIDTHS[0], case.first_spread, 0.2)[:, None]
    law = (case.offset + 1000 * (sizes / WIDTHS[0]) ** EXPONENT)[:, None]
    made: Floats = law * np.exp(spread * rng.standard_normal((len(sizes), case.seeds)))
    return made


def coverage(case: Case, repeats: int, seed: int = 0) -> dict[str, float | str]:
    """Shares of studies whose interval holds the exponent, and the mean of as many seeds at the next width."""
    rng, hits, offsets = np.random.default_rng(seed), np.zeros(2), 0
    for _ in range(repeats):
        values = drawn(rng, WIDTHS, case).ravel()
        side = (values > case.limit).astype(np.int8)
        law, _ = fit(Sample(np.repeat(WIDTHS, case.seeds), np.minimum(values, case.limit), side))
        exponent, predicted = law.exponent(), law.at(NEXT, case.seeds)
        measured = np.exp(np.log(drawn(rng, np.array([NEXT]), case)).mean())
        hits += exponent.low <= EXPONENT <= exponent.high, predicted.low <= measured <= predicted.high
        offsets += law.has_offset
    exponent_share, prediction_share = (hits / repeats).tolist()
    shares = {"exponent": exponent_share, "prediction": prediction_share, "offset_chosen": offsets / repeats}
    return {"case": case.name, **shares}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000)
    given = parser.parse_args()
    error = math.sqrt(LEVEL * (1 - LEVEL) / given.repeats)
    rows = [coverage(case, given.repeats) for case in CASES]
    print(json.dumps({"repeats": given.repeats, "standard_error": error, "cases": rows}, indent=1))
