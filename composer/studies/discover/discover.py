"""Rounds of discovery: read what is trained, choose the next points, train them.

Tests: tests/studies/discover/test_discover.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from composer.spec.interval import LEVEL
from composer.studies import Refused
from composer.studies.discover.acquisition import choose, subsets
from composer.studies.discover.evidence import Evidence, read, runs_of
from composer.studies.discover.space import features, space_filling
from composer.studies.discover.subset import greedy, noise, worth
from composer.studies.discover.surrogate import Posterior, posterior
from composer.studies.execution.engine import train_all
from composer.studies.scale.target import Target
from composer.studies.statistics import Floats
from composer.studies.study.load import Study

FUNCTIONS: Final = 40
"""Functions drawn from what the scores allow."""
DRAWS: Final = 40
"""Draws of the noise."""
LIMIT: Final = 2_000
"""Points of a larger study are drawn: of so many the covariance is computed in seconds."""
REFERENCE: Final = 0
"""Effects are against the study's first point: every axis at its first value."""
FEWEST: Final = 3
"""Trained points from which on a Gaussian process is fitted; before, designs fill the space."""


@dataclass(frozen=True)
class Question:
    """What is asked."""

    metric: str = ""
    """By default that of the evaluation."""
    next: int = 3
    """Points to choose."""
    subset: int = 3
    """Points of the diverse subset that is looked for."""
    seed: int = 0


def discover(
    study: Study,
    question: Question,
    folder: Path,
    runs_dir: Path,
    rounds: int,
    jobs: int,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Train the chosen points for a number of rounds and return the table, with the next ones. Raises Refused."""
    if len(study.points) < 2:
        raise Refused(f"{study.file} has one point: there is nothing to choose")
    if not question.metric:
        question = replace(question, metric=study.runs[0].blueprint.environment.metric)
    for run in study.runs:
        Target(question.metric).ensure_written(run.blueprint)
    failed: set[int] = set()
    notes: list[str] = []
    for number in range(rounds):
        suggested = look(study, read(study, question.metric, runs_dir), question, failed)["suggested"]
        if not suggested:
            break
        say(f"round {number + 1} of {rounds}: {'; '.join(each['point'] for each in suggested)}")
        runs = [(each["index"], run) for each in suggested for run in runs_of(study, each["index"])]
        outcomes = train_all([run for _, run in runs], folder, runs_dir, say, jobs)
        for (index, run), outcome in zip(runs, outcomes, strict=True):
            if outcome.exit_code:
                failed.add(index)
                notes.append(f"{run.name}: {outcome.status}: {outcome.message}")
    table = look(study, read(study, question.metric, runs_dir), question, failed)
    return table | {"notes": [*notes, *table["notes"]]}


def look(study: Study, evidence: Evidence, question: Question, failed: set[int]) -> dict[str, Any]:
    """What the scores say now, and what to train next."""
    rng = np.random.default_rng([question.seed, len(evidence.trained)])
    taken = sorted({*evidence.trained, *evidence.diverged, *failed})
    kept = _window(len(study.points), [REFERENCE, *taken], rng)
    notes = [f"{study.points[index].name} diverged and is not chosen again" for index in evidence.diverged]
    if len(kept) < len(study.points):
        notes.append(f"{len(kept):,} of {len(study.points):,} points, drawn with --seed, are looked at")
    vectors = features([study.points[index] for index in kept])
    place = {index: position for position, index in enumerate(kept)}
    round_ = _Round(study, kept, vectors, [place[index] for index in taken], question, rng)
    trained = [place[index] for index in evidence.trained]
    if len(trained) < FEWEST:
        chosen = [round_.designed(position) for position in space_filling(vectors, question.next, round_.taken, rng)]
        subset: list[dict[str, Any]] = []
    else:
        belief = posterior(vectors, trained, evidence.scores, question.seed)
        chosen, subset = round_.chosen(belief), round_.best(belief, trained)
    return {
        "study": study.name,
        "metric": question.metric,
        "unit": "metric" if len(study.tasks) == 1 else "standard deviations over points, mean over tasks",
        "reference": study.points[REFERENCE].name,
        "points": len(study.points),
        "trained": len(trained),
        "interval": {"level": LEVEL, "method": f"{LEVEL:.0%} interval of a Gaussian process given the scores"},
        "design": "space-filling" if len(trained) < FEWEST else "information about the subset",
        "suggested": chosen,
        "subset": subset,
        "notes": notes,
    }


@dataclass(frozen=True)
class _Round:
    """One choice among the points ``kept`` of a study; positions are theirs."""

    study: Study
    kept: NDArray[np.int64]
    vectors: Floats
    taken: list[int]
    question: Question
    rng: np.random.Generator

    def chosen(self, belief: Posterior) -> list[dict[str, Any]]:
        """The next points, with what is expected of them."""
        functions = belief.samples(FUNCTIONS, self.rng)
        effects = functions - functions[:, [REFERENCE]]
        seen = subsets(effects, noise(self.vectors, DRAWS, self.rng), self.question.subset)
        found = choose(belief, seen, self.question.next, self.taken)
        return [
            self._point(position, found.points[:order] + self.taken)
            | {
                "effect": _effect(belief, position),
                "in_subset": float(np.mean([position in subset for subset in seen])),
                "information_nats": gain,
            }
            for order, (position, gain) in enumerate(zip(found.points, found.gains, strict=True))
        ]

    def designed(self, position: int) -> dict[str, Any]:
        """A point of a space-filling design."""
        return self._point(position, self.taken)

    def best(self, belief: Posterior, trained: Sequence[int]) -> list[dict[str, Any]]:
        """The diverse subset of the trained points, in the order of what each adds."""
        functions = belief.samples(FUNCTIONS, self.rng)
        noises = noise(self.vectors, DRAWS, self.rng)[:, trained]
        each = worth((functions - functions[:, [REFERENCE]])[:, trained], noises)
        positions, gains = greedy(each, self.question.subset)
        members = [trained[position] for position in positions]
        return [
            self._point(member, [other for other in members if other != member])
            | {"effect": _effect(belief, member), "adds": gain * belief.spread}
            for member, gain in zip(members, gains, strict=True)
        ]

    def _point(self, position: int, others: Sequence[int]) -> dict[str, Any]:
        """A point by name, with its distance from the nearest of others: 1 is an axis from end to end."""
        index = int(self.kept[position])
        point = self.study.points[index]
        away = np.linalg.norm(self.vectors[list(others)] - self.vectors[position], axis=1)
        away = away[away > 0]
        distance = float(away.min()) if len(away) else None
        return {"point": point.name, "index": index, "values": dict(point.values), "distance": distance}


def _effect(belief: Posterior, position: int) -> dict[str, float]:
    """The score of a point minus that of the reference, with the interval of the Gaussian process."""
    from scipy.special import ndtri

    covariance = belief.covariance
    variance = covariance[position, position] + covariance[REFERENCE, REFERENCE] - 2 * covariance[position, REFERENCE]
    value = float(belief.mean[position] - belief.mean[REFERENCE]) * belief.spread
    half = float(ndtri(0.5 + LEVEL / 2)) * math.sqrt(max(float(variance), 0.0)) * belief.spread
    return {"value": value, "low": value - half, "high": value + half}


def _window(count: int, always: Sequence[int], rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of the points that are looked at: all, or in a large study some, with ``always``; 0 is the first."""
    if count <= LIMIT:
        return np.arange(count)
    others = np.setdiff1d(np.arange(count), always)
    drawn = rng.choice(others, LIMIT - len(set(always)), replace=False)
    return np.sort(np.concatenate((np.unique(always), drawn)))
