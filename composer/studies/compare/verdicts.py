"""What the data decide about pairs of agents, what not, and how many seeds would: each in one sentence.

A pair is decided where its p-value, by Student's t and not below what permutation of so few seeds can give, is at most
0.05 after Holm's correction for all pairs of its family. Holm, Scandinavian Journal of Statistics 6 (1979), p. 65.
Tests: tests/studies/test_verdicts.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np

from composer.spec.interval import LEAST, LEVEL, method, p_value, standard_error
from composer.spec.quantities import counted
from composer.studies.compare.read_runs import Agent
from composer.studies.statistics import (
    Estimate,
    Floats,
    Scores,
    difference,
    least_p_value,
    p_text,
    probability_of_improvement,
    seeds_text,
    span,
)

POWER = 0.8
"""Share of studies in which a difference shall be shown, for the number of seeds that it needs."""
MOST_SEEDS = 1_000
"""More seeds are not counted."""
ALPHA = 1 - LEVEL


@dataclass(frozen=True)
class Pair:
    """Two agents with their scores on the same tasks."""

    left: Agent
    right: Agent
    ours: Scores
    theirs: Scores
    where: str
    """The task and the step, or the tasks."""

    @property
    def gap(self) -> Estimate:
        """Mean of ours minus mean of theirs."""
        return difference(self.ours, self.theirs)

    @property
    def least(self) -> float:
        """The smallest p-value that so many seeds can give."""
        return least_p_value(self.ours, self.theirs)

    @property
    def fewest(self) -> int:
        """Seeds of an agent on a task, at least."""
        return min(*self.ours.seeds, *self.theirs.seeds)

    @property
    def p(self) -> float:
        """Two-sided, before any correction; 1 where there are too few seeds for an interval."""
        if self.fewest < LEAST:
            return 1.0
        error, freedom = standard_error([*self.ours.shares(), *self.theirs.shares(-1)])
        return max(self.least, p_value(self.gap.value, float(error), float(freedom)))

    def needed(self, tests: int) -> int | None:
        """Seeds that would show a difference as large as this one; see ``seeds_needed``."""
        return seeds_needed(self.ours, self.theirs, tests)


def pairs_of(scores: Mapping[Agent, Scores], where: str) -> list[Pair]:
    """Every pair of agents."""
    return [Pair(left, right, x, y, where) for (left, x), (right, y) in combinations(scores.items(), 2)]


def judge(family: Sequence[Pair], form: str) -> list[dict[str, Any]]:
    """A row for each pair of a family, numbers in the format ``form``; all pairs together have one error rate."""
    corrected = holm([pair.p for pair in family])
    return [_row(pair, p, len(family), form) for pair, p in zip(family, corrected, strict=True)]


def holm(values: Sequence[float]) -> list[float]:
    """p-values corrected for their number by Holm's step-down method, in the same order."""
    order = np.argsort(values, kind="stable")
    scaled = np.asarray(values)[order] * np.arange(len(values), 0, -1)
    found = np.empty(len(values))
    found[order] = np.maximum.accumulate(scaled).clip(max=1.0)
    return [float(each) for each in found]


def tested_text(corrected: float, tests: int) -> str:
    """``p = 0.024 (Holm over 3 comparisons)``."""
    p = p_text(corrected)
    holms = f" (Holm over {tests} comparisons)" if tests > 1 else ""
    return f"p {p if p.startswith('<') else f'= {p}'}{holms}"


def seeds_needed(ours: Scores, theirs: Scores, tests: int = 1) -> int | None:
    """Seeds of each agent on each task that show a difference as large as this one with ``POWER``; None: too many.

    At the spread that was seen, at a level of 0.05 for all ``tests`` together. None where there is no difference.
    """
    gap = abs(difference(ours, theirs).value)
    strata = [*ours.shares(), *theirs.shares(-1)]
    deviation = math.sqrt(sum(float(each.var(ddof=1)) for each in strata))
    counts, wanted = _shown_with(len(strata), len(ours.tasks), ALPHA / tests)
    found = np.flatnonzero((gap * np.sqrt(counts) >= wanted * deviation) & (gap > 0))
    return int(counts[found[0]]) if found.size else None


def seeds_for(gap: float, deviation: float, tests: int = 1) -> int | None:
    """Seeds of which the mean of paired differences ``gap``, with this deviation, is shown; None: too many."""
    from scipy.special import ndtri, stdtrit

    counts = np.arange(LEAST, MOST_SEEDS + 1)
    wanted = stdtrit(counts - 1, 1 - ALPHA / tests / 2) + ndtri(POWER)
    found = np.flatnonzero((gap * np.sqrt(counts) >= wanted * deviation) & (gap > 0))
    return int(counts[found[0]]) if found.size else None


@cache
def _shown_with(strata: int, tasks: int, level: float) -> tuple[Floats, Floats]:
    """Numbers of seeds that can show anything, and how many standard errors a difference has to be, with ``POWER``."""
    from scipy.special import ndtri, stdtrit

    counts = np.arange(LEAST, MOST_SEEDS + 1, dtype=np.float64)
    wanted = stdtrit(strata * (counts - 1), 1 - level / 2) + ndtri(POWER)
    can = (2 / math.comb(2 * count, count) ** tasks <= level for count in range(LEAST, MOST_SEEDS + 1))
    first = next((number for number, enough in enumerate(can) if enough), len(counts))
    return counts[first:], wanted[first:]


def _row(pair: Pair, corrected: float, tests: int, form: str) -> dict[str, Any]:
    gap, chance = pair.gap, probability_of_improvement(pair.ours, pair.theirs)
    is_decided, needed = corrected <= ALPHA, None
    if not is_decided and pair.fewest > 1:
        needed = pair.needed(tests)
    row = {
        "where": pair.where,
        "left": str(pair.left),
        "right": str(pair.right),
        "difference": gap.as_dict(),
        "probability_of_improvement": chance.as_dict(),
        "least_p_value": pair.least,
        "p_value": pair.p,
        "p_value_corrected": corrected,
        "correction": {"method": "Holm", "tests": tests},
        "decided": is_decided,
        "seeds_needed": needed,
        "verdict": _verdict(pair, is_decided, tests),
    }
    return row | {"sentence": _sentence(pair, row, form)}


def _verdict(pair: Pair, is_decided: bool, tests: int) -> str:
    """What a difference shows; with too few seeds, that it shows nothing."""
    gap = pair.gap
    if is_decided:
        higher, lower = (pair.left, pair.right) if gap.value > 0 else (pair.right, pair.left)
        return f"{higher} scores higher than {lower}"
    if pair.least * tests > ALPHA:
        against = " and ".join(f"{n} against {m}" for n, m in zip(pair.ours.seeds, pair.theirs.seeds, strict=True))
        among = f" in one of {tests} comparisons" if tests > 1 else ""
        claim = f"{against} cannot give p < {ALPHA:.2f}{among} even if they separate completely"
        return f"too few seeds for any claim: {claim}"
    if math.isnan(gap.low):
        return f"no interval from fewer than {LEAST} seeds, and so no claim"
    corrected = f" once {tests} comparisons are corrected for" if gap.low > 0 or gap.high < 0 else ""
    return f"no difference shown between {pair.left} and {pair.right}{corrected}"


def _sentence(pair: Pair, row: Mapping[str, Any], form: str) -> str:
    """Everything that is to be said of a pair: verdict, interval, method, seeds, correction, seeds that are needed."""
    gap, chance, needed = row["difference"], row["probability_of_improvement"], row["seeds_needed"]
    seeds = " and ".join(seeds_text(scores.seeds) for scores in (pair.ours, pair.theirs))
    tested = f"; {tested_text(row['p_value_corrected'], row['correction']['tests'])}" if gap["low"] is not None else ""
    said = (
        f"{pair.where}: {row['verdict']}; {pair.left} - {pair.right} is {span(gap, form)},"
        f" P(improvement) {span(chance, '.2f')}, {method(f'{seeds} seeds')}{tested}"
    )
    if row["decided"] or gap["value"] == 0 or pair.fewest < 2:
        return said
    more = f"{counted(needed, 'seed')} each" if needed else f"more than {MOST_SEEDS:,} seeds each"
    return f"{said}. A difference as large as seen, at the spread seen, would need {more} for {POWER:.0%} power"
