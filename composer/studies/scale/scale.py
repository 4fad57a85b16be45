"""Fit a law to finished runs and hold it against the sizes that it has not seen.

Tests: tests/studies/scale/test_scale.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from composer.spec.interval import LEVEL, method
from composer.studies import Refused
from composer.studies.execution.engine import Outcome, train_all
from composer.studies.scale.law import CRITERION, FEWEST_SIZES, Fit, Sample, exponent_difference, fit
from composer.studies.scale.sizes import Against, Ladder, Plan, abscissa
from composer.studies.scale.target import Target
from composer.studies.statistics import Estimate, Floats, Scores

DIVERGED = 5
"""The exit code of a run that diverged: its seeds have not reached a threshold that they had not reached before."""


@dataclass(frozen=True)
class Rung:
    """The seeds of one size."""

    size: float
    x: float
    """What the law is over: the size, parameters or operations."""
    run: Path
    seeds: tuple[int, ...]
    values: Floats
    side: NDArray[np.int8]
    is_held_out: bool

    def measured(self, is_log: bool) -> Estimate:
        """Geometric mean over seeds in log space, else the mean; the median alone where some are bounds."""
        if self.side.any():
            at_least = np.where(self.side == 1, np.inf, self.values)
            return Estimate(float(np.quantile(at_least, 0.5, method="inverted_cdf")), math.nan, math.nan)
        found = Scores.of(np.log(self.values) if is_log else self.values).mean()
        return Estimate(*np.exp(found).tolist()) if is_log else found


@dataclass(frozen=True)
class Scaling:
    """One agent's sizes and its law."""

    name: str
    rungs: tuple[Rung, ...]
    law: Fit
    rivals: Sequence[Fit]
    """All laws that were fitted."""


@dataclass(frozen=True)
class Question:
    """What is asked of the runs."""

    target: Target
    against: Against = "size"
    hold_out: float | None = None
    """This size is not fitted; infinity stands for the largest."""
    predict: Sequence[float] = ()


def ensure_answerable(plan: Plan, question: Question) -> None:
    """Raise Refused, before anything is trained, where a size to hold out or the metric does not exist."""
    for ladder in plan.ladders:
        held_out = _held_out_size(ladder, question)
        if len(ladder.runs) - (held_out is not None) < FEWEST_SIZES:
            raise Refused(f"{ladder.name}: a law takes at least {FEWEST_SIZES} sizes beside the one that is held out")
        for run in ladder.runs.values():
            question.target.ensure_written(run.blueprint)


def train(
    plan: Plan, folder: Path, runs_dir: Path, say: Callable[[str], None], jobs: int
) -> tuple[dict[str, Outcome], list[str]]:
    """Train what is not finished; the outcomes by key of the run, and a note for each that failed."""
    outcomes = {each.run.key: each for each in train_all(plan.runs, folder, runs_dir, say, jobs)}
    return outcomes, [f"{each.run.name}: {each.status}: {each.message}" for each in outcomes.values() if each.exit_code]


def scaling(ladder: Ladder, outcomes: Mapping[str, Outcome], question: Question) -> Scaling:
    """The law of one agent; raises Refused where fewer than three sizes are left to fit."""
    held_out = _held_out_size(ladder, question)
    rungs = []
    for size, run in ladder.runs.items():
        outcome = outcomes[run.key]
        has_ended = not outcome.exit_code or (outcome.exit_code == DIVERGED and question.target.threshold is not None)
        if outcome.directory is not None and has_ended:
            values, side = question.target.read(outcome.directory, run.blueprint)
            x = abscissa(run.blueprint, size, question.against)
            seeds = tuple(run.blueprint.seeds)
            rungs.append(Rung(size, x, outcome.directory, seeds, values, side, size == held_out))
    fitted = [rung for rung in rungs if not rung.is_held_out]
    if len({rung.x for rung in fitted}) < FEWEST_SIZES:
        raise Refused(f"{ladder.name}: a law takes at least {FEWEST_SIZES} trained sizes, got {len(fitted)} to fit")
    sample = Sample(
        np.concatenate([np.full(len(rung.values), rung.x) for rung in fitted]),
        np.concatenate([rung.values for rung in fitted]),
        np.concatenate([rung.side for rung in fitted]),
    )
    return Scaling(ladder.name, tuple(rungs), *fit(sample))


def _held_out_size(ladder: Ladder, question: Question) -> float | None:
    held_out = max(ladder.runs) if question.hold_out == math.inf else question.hold_out
    if held_out is not None and held_out not in ladder.runs:
        sizes = ", ".join(f"{size:g}" for size in ladder.runs)
        raise Refused(f"{ladder.name}: no size {held_out:g} to hold out; it has {sizes}")
    return held_out


def table(plan: Plan, found: Sequence[Scaling], question: Question, notes: Sequence[str]) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {
        "target": question.target.name,
        "over": plan.size if question.against == "size" else question.against,
        "size": plan.size,
        "interval": {"level": LEVEL, "method": method()},
        "criterion": CRITERION,
        "series": [_series(each, question) for each in found],
        "differences": _differences(found),
        "notes": [*notes, *(note for each in found for note in _notes(each))],
    }


def _series(each: Scaling, question: Question) -> dict[str, Any]:
    law = each.law
    return {
        "name": each.name,
        "sizes": [_rung(rung, law) for rung in each.rungs],
        "law": _law(law) | {"misfit_p": law.misfit(), "deviation": law.deviation},
        "laws": [_law(rival) for rival in each.rivals],
        "held_out": [_held_out(rung, each) for rung in each.rungs if rung.is_held_out],
        "predictions": [_prediction(x, each) for x in question.predict],
    }


def _rung(rung: Rung, law: Fit) -> dict[str, Any]:
    never, before = int((rung.side == 1).sum()), int((rung.side == -1).sum())
    return {
        "size": rung.size,
        "x": rung.x,
        "run": str(rung.run),
        "seeds": list(rung.seeds),
        "values": rung.values.tolist(),
        "side": rung.side.tolist(),
        "never_reached": never,
        "reached_before": before,
        "measured": _finite(rung.measured(law.sample.is_log)),
        "held_out": rung.is_held_out,
    }


def _law(law: Fit) -> dict[str, Any]:
    return {
        "form": "offset" if law.has_offset else "power",
        "scale": "log" if law.sample.is_log else "linear",
        "a": law.coefficient,
        "b": law.exponent().as_dict(),
        "c": law.offset,
        "aicc": law.aicc if math.isfinite(law.aicc) else None,
    }


def _held_out(rung: Rung, each: Scaling) -> dict[str, Any]:
    predicted, measured = each.law.at(rung.x, len(rung.seeds)), rung.measured(each.law.sample.is_log)
    is_inside = predicted.low <= measured.value <= predicted.high if not math.isnan(predicted.low) else None
    error = measured.value / predicted.value - 1 if each.law.sample.is_log else None
    return {
        **_prediction(rung.x, each),
        "size": rung.size,
        "of_new_seeds": predicted.as_dict(),
        "measured": _finite(measured),
        "seeds": len(rung.seeds),
        "relative_error": error if error is None or math.isfinite(error) else None,
        "inside": is_inside,
    }


def _prediction(x: float, each: Scaling) -> dict[str, Any]:
    sizes = each.law.sample.distinct
    beyond = x / sizes[-1] if x > sizes[-1] else sizes[0] / x if x < sizes[0] else 1.0
    others = [rival.at(x).as_dict() for rival in each.rivals if rival is not each.law]
    return {"x": x, "law": each.law.at(x).as_dict(), "other_law": next(iter(others), None), "beyond": float(beyond)}


def _differences(found: Sequence[Scaling]) -> list[dict[str, Any]]:
    """Each other agent's exponent minus that of the first, of laws of one form: without offset where theirs differ."""
    first, *others = found
    rows = []
    for each in others:
        ours, theirs = each.law, first.law
        if ours.has_offset != theirs.has_offset:
            plain = [[fit for fit in one.rivals if not fit.has_offset] for one in (each, first)]
            if not all(plain):
                continue
            ours, theirs = plain[0][0], plain[1][0]
        if ours.sample.is_log == theirs.sample.is_log:
            form = "offset" if ours.has_offset else "power"
            row = {"of": each.name, "minus": first.name, "form": form}
            rows.append(row | exponent_difference(ours, theirs).as_dict())
    return rows


def _notes(each: Scaling) -> list[str]:
    notes = []
    for rung in each.rungs:
        if never := int((rung.side == 1).sum()):
            notes.append(f"{each.name}, {rung.size:g}: {never} of {len(rung.seeds)} seeds never reached the threshold")
        if before := int((rung.side == -1).sum()):
            where = f"{before} of {len(rung.seeds)} seeds had reached the threshold at the first evaluation"
            notes.append(f"{each.name}, {rung.size:g}: {where}; evaluate more often")
    p = each.law.misfit()
    if p is not None and p < 1 - LEVEL:
        notes.append(f"{each.name}: the law does not describe the sizes (F test, p = {p:.2g}): its intervals miss that")
    return notes


def _finite(estimate: Estimate) -> dict[str, float | None]:
    return {
        name: number if number is not None and math.isfinite(number) else None
        for name, number in estimate.as_dict().items()
    }
