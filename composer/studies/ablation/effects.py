"""Effects of components over paired seeds, and what they show. Pure.

An effect is the score with a component minus the score without it, seed by seed: of the same seeds, so that what the
seed decides in both cancels. Each effect gets two tests on Student's t of the differences: against 0, and of
equivalence, against a margin on both sides (Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987). Over the components of a
column both kinds of p-value are adjusted by Holm (Scand. J. Stat. 6, 1979), so that at most 5 % of ablations have a
wrong sign among theirs, and at most 5 % call a component without effect that has one of the margin's size.
Legend: K tasks, n seeds of a task. Tests: tests/studies/ablation/test_effects.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from composer.spec.interval import LEAST, LEVEL, interval, p_value, standard_error

Floats = NDArray[np.float64]
Verdict = Literal["useful", "harmful", "no effect", "undecided"]
ALPHA: Final = 1 - LEVEL


@dataclass(frozen=True)
class Effect:
    """The mean of paired differences with its interval, over seeds of one task or of several."""

    value: float
    low: float
    high: float
    seeds: int
    """Pairs of the task with fewest."""
    margin: float
    """A smaller effect counts as none."""
    p_differs: float
    """Two-sided, against no effect; 1 with too few pairs."""
    p_equivalent: float
    """Against an effect of the margin's size or more."""
    verdict: Verdict = "undecided"
    """What it shows beside the others of its column."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON, which has no NaN: None in its place."""
        numbers = {name: getattr(self, name) for name in ("value", "low", "high", "margin")}
        shown: dict[str, Any] = {name: None if math.isnan(number) else number for name, number in numbers.items()}
        tests = {"p_differs": self.p_differs, "p_equivalent": self.p_equivalent}
        return {**shown, "seeds": self.seeds, **tests, "verdict": self.verdict}


def effect(differences: Sequence[Floats], margins: Sequence[float]) -> Effect:
    """The mean over tasks of the mean of paired differences ``[n]``; its margin is the mean of the tasks' margins."""
    from scipy.special import stdtr

    strata = [each / len(differences) for each in differences]
    value, margin = float(sum(each.mean() for each in differences) / len(differences)), float(np.mean(margins))
    seeds = min(map(len, differences))
    if seeds < LEAST:
        return Effect(value, math.nan, math.nan, seeds, margin, 1.0, 1.0)
    low, high = interval(value, strata)
    error, freedom = (float(each) for each in standard_error(strata))
    beyond = abs(value) - margin
    equivalent = float(stdtr(freedom, beyond / error)) if error else float(beyond >= 0)
    return Effect(value, float(low), float(high), seeds, margin, p_value(value, error, freedom), equivalent)


def judged(column: Sequence[Effect]) -> list[Effect]:
    """The effects of one column with their verdicts. An effect that is surely below the margin counts as none."""
    differ = holm([each.p_differs for each in column])
    equal = holm([each.p_equivalent for each in column])
    return [replace(each, verdict=_verdict(each, p, q)) for each, p, q in zip(column, differ, equal, strict=True)]


def holm(values: Sequence[float]) -> list[float]:
    """Adjusted p-values of Holm's step-down procedure, in their order."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, largest = [1.0] * len(values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = largest
    return adjusted


def _verdict(found: Effect, differs: float, equivalent: float) -> Verdict:
    if equivalent <= ALPHA:
        return "no effect"
    if differs <= ALPHA:
        return "useful" if found.value > 0 else "harmful"
    return "undecided"
