"""How often intervals contain the truth: ours, and rliable's percentile bootstrap.

``python tools/interval_coverage.py`` prints the tables of docs/benchmarks/statistics.md. Scores are drawn from known
distributions: normal; skewed (exponential); bounded (most seeds close to the top of 0 to 1); failing (one seed in five
is near 0). Seven tasks differ in height. tests/studies/test_coverage.py repeats a part.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from composer.spec.interquartile import iqm
from composer.spec.interval import interval
from composer.studies.profiles import performance_profile
from composer.studies.statistics import Curve, Estimate, Scores, difference, probability_of_improvement

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]
LARGE = 200_000
"""Seeds of a task, for the truth."""
RESAMPLES = 1_000
OPTIMUM = 1.0
STEPS = np.array([0, 1, 2, 4, 8])
"""At which curves have points; the step is a share of the final score."""
RAMP = np.array([0.1, 0.4, 0.7, 0.9, 1.0])
SHARES = (0.25, 0.5, 0.75)
"""Of all seeds above the thresholds at which profiles are read."""


def _failing(rng: np.random.Generator, size: tuple[int, ...]) -> Floats:
    works = rng.random(size) < 0.8
    return np.where(works, 0.8 + 0.05 * rng.standard_normal(size), 0.1 + 0.05 * rng.standard_normal(size)).clip(0, 1)


KINDS: dict[str, tuple[Draw, tuple[float, float]]] = {
    "normal": (lambda rng, size: 0.8 + 0.2 * rng.standard_normal(size), (-math.inf, math.inf)),
    "skewed": (lambda rng, size: 0.5 + 0.3 * rng.exponential(size=size), (0.0, math.inf)),
    "bounded": (lambda rng, size: rng.beta(9, 1, size=size), (0.0, 1.0)),
    "failing": (_failing, (0.0, 1.0)),
}


class Truth(NamedTuple):
    """The values that intervals should contain."""

    values: dict[str, float]
    thresholds: Floats


def heights(tasks: int) -> Floats:
    """Factors by which scores of the tasks differ."""
    return np.linspace(0.4, 1.0, tasks) if tasks > 1 else np.ones(1)


def truth(kind: str, tasks: int) -> Truth:
    """By a large number of seeds."""
    rng = np.random.default_rng(99)
    draw, _ = KINDS[kind]
    ours = [height * draw(rng, (LARGE,)) for height in heights(tasks)]
    theirs = [height * draw(rng, (LARGE,)) - shift(kind) for height in heights(tasks)]
    pooled = np.concatenate(ours)
    thresholds = np.quantile(pooled, SHARES)
    means = [each.mean() for each in ours]
    steps = np.trapezoid(RAMP, STEPS) / (STEPS[-1] - STEPS[0])
    values = {
        "mean": float(np.mean(means)),
        "IQM": float(iqm(pooled)),
        "median": float(np.median(means)),
        "optimality gap": float(OPTIMUM - np.minimum(pooled, OPTIMUM).mean()),
        "P(improvement)": float(np.mean([(x > y).mean() for x, y in zip(ours, theirs, strict=True)])),
        "area": float(np.mean(means) * steps),
        "difference": shift(kind),
    }
    values |= {f"profile {n}": float((pooled > at).mean()) for n, at in enumerate(thresholds)}
    return Truth(values, thresholds)


@cache
def shift(kind: str) -> float:
    """By how much the other agent scores lower: half a standard deviation."""
    return 0.5 * float(KINDS[kind][0](np.random.default_rng(98), (LARGE,)).std())


def estimates(ours: Floats, theirs: Floats, kind: str, thresholds: Floats) -> Iterator[tuple[str, Estimate]]:
    """Ours, of scores ``[K, n]``."""
    bounds = KINDS[kind][1]
    x, y = Scores.of(*ours, bounds=bounds), Scores.of(*theirs)
    yield "mean", x.mean()
    yield "IQM", x.iqm()
    yield "median", x.median()
    yield "optimality gap", x.optimality_gap(OPTIMUM)
    yield "P(improvement)", probability_of_improvement(x, y)
    yield "difference", difference(Scores.of(*ours), y)
    areas = [Curve(STEPS, task[:, None] * RAMP).area() for task in ours]
    yield "area", Scores.of(*areas).mean()
    line = performance_profile(x, thresholds)
    for number, (value, low, high) in enumerate(zip(line.value, line.low, line.high, strict=True)):
        yield f"profile {number}", Estimate(value, low, high)


def bootstrap(
    ours: Floats, theirs: Floats, thresholds: Floats, rng: np.random.Generator
) -> Iterator[tuple[str, Estimate]]:
    """Rliable's stratified percentile bootstrap, of scores ``[K, n]``."""
    x, y = (_resampled(each, rng) for each in (ours, theirs))
    means = x.mean(2)
    wins = 0.5 * (1 + np.sign(x[..., :, None] - y[..., None, :]))
    drawn: dict[str, Floats] = {
        "mean": means.mean(1),
        "IQM": iqm(x.reshape(RESAMPLES, -1)),
        "median": np.median(means, axis=1),
        "optimality gap": OPTIMUM - np.minimum(x, OPTIMUM).mean((1, 2)),
        "P(improvement)": wins.mean((1, 2, 3)),
        "difference": means.mean(1) - y.mean((1, 2)),
        "area": means.mean(1) * np.trapezoid(RAMP, STEPS) / (STEPS[-1] - STEPS[0]),
    }
    drawn |= {f"profile {number}": (x > at).mean((1, 2)) for number, at in enumerate(thresholds)}
    for name, values in drawn.items():
        low, high = np.quantile(values, [0.025, 0.975])
        yield name, Estimate(math.nan, float(low), float(high))


def _resampled(scores: Floats, rng: np.random.Generator) -> Floats:
    """``[RESAMPLES, K, n]``, each task by itself."""
    drawn: Floats = np.take_along_axis(scores[None], rng.integers(0, scores.shape[1], (RESAMPLES, *scores.shape)), 2)
    return drawn


def coverage(kind: str, tasks: int, seeds: int, studies: int, with_bootstrap: bool = True) -> dict[str, list[float]]:
    """Share of studies whose interval contains the truth, ours and the bootstrap's, by statistic."""
    rng = np.random.default_rng([tasks, seeds, *kind.encode()])
    draw, _ = KINDS[kind]
    known, height = truth(kind, tasks), heights(tasks)[:, None]
    hits: dict[str, list[float]] = {name: [0.0, 0.0] for name in known.values}
    for _ in range(studies):
        ours, theirs = (height * draw(rng, (tasks, seeds)) for _ in range(2))
        theirs = theirs - shift(kind)
        found: list[Any] = [estimates(ours, theirs, kind, known.thresholds)]
        found += [bootstrap(ours, theirs, known.thresholds, rng)] if with_bootstrap else []
        for number, each in enumerate(found):
            for name, (_, low, high) in each:
                # A share is known from a large sample only.
                slack = 0.002 if name.startswith(("profile", "P(")) else 0.0
                hits[name][number] += (low - slack <= known.values[name] <= high + slack) / studies
    profile = np.mean([hits.pop(f"profile {number}") for number in range(len(SHARES))], axis=0)
    return hits | {"profile": profile.tolist()}


def alternatives(kind: str, seeds: int, studies: int) -> dict[str, tuple[float, float]]:
    """Coverage of a mean on one task, and median width, by intervals that correct for skewness and by Student's t."""
    rng = np.random.default_rng([seeds, *kind.encode()])
    draw, bounds = KINDS[kind]
    goal = truth(kind, 1).values["mean"]
    scores = draw(rng, (studies, seeds))
    found = {"t": interval(scores.mean(1), [scores.T]), "Hall": _hall(scores)}
    found |= _resampling(scores, rng)
    return {
        name: (
            float(((np.maximum(low, bounds[0]) <= goal) & (goal <= np.minimum(high, bounds[1]))).mean()),
            float(np.median(high - low)),
        )
        for name, (low, high) in found.items()
    }


def _hall(scores: Floats) -> tuple[Floats, Floats]:
    """Student's interval after the cubic transformation of Hall, J. R. Statist. Soc. B 54 (1992), p. 221."""
    count, spread = scores.shape[1], scores.std(1, ddof=1)
    away = scores - scores.mean(1, keepdims=True)
    skewness = (away**3).mean(1) / (away**2).mean(1) ** 1.5
    skewness = np.where(np.abs(skewness) < 1e-6, 1e-6, skewness)
    quantile = float(stdtrit(count - 1, 0.975)) / math.sqrt(count)

    def back(y: float) -> Floats:
        shifted: Floats = 1 + skewness * (y - skewness / (6 * count))
        found: Floats = 3 / skewness * (np.cbrt(shifted) - 1)
        return found

    return scores.mean(1) - spread * back(quantile), scores.mean(1) - spread * back(-quantile)


def _resampling(scores: Floats, rng: np.random.Generator) -> dict[str, tuple[Floats, Floats]]:
    """The bootstrap-t and the BCa bootstrap, of scores ``[studies, n]``, with the same resamples for all studies."""
    studies, count = scores.shape
    drawn = scores[:, rng.integers(0, count, (RESAMPLES, count))]
    mean, error = scores.mean(1), scores.std(1, ddof=1) / math.sqrt(count)
    means, errors = drawn.mean(2), drawn.std(2, ddof=1) / math.sqrt(count)
    with np.errstate(invalid="ignore", divide="ignore"):
        pivots = np.where(errors > 0, (means - mean[:, None]) / errors, np.nan)
    upper, lower = np.nanquantile(pivots, [0.975, 0.025], axis=1)
    away = mean[:, None] - scores  # The jackknife's, but for a factor that cancels.
    acceleration = (away**3).sum(1) / (6 * (away**2).sum(1) ** 1.5)
    bias = ndtri(((means < mean[:, None]).mean(1) + (means <= mean[:, None]).mean(1)) / 2)
    shares = [ndtr(bias + (bias + z) / (1 - acceleration * (bias + z))) for z in (ndtri(0.025), ndtri(0.975))]
    ordered = np.sort(means, axis=1)
    places = [(share * (RESAMPLES - 1)).round().astype(int) for share in shares]
    low, high = (ordered[np.arange(studies), place] for place in places)
    return {"bootstrap-t": (mean - upper * error, mean - lower * error), "BCa": (low, high)}


def print_coverage(studies: int) -> None:
    """Coverage of every statistic, the bootstrap's in brackets."""
    names: list[str] = []
    for kind, tasks, seeds in product(KINDS, (1, 7), (3, 5, 10)):
        found = coverage(kind, tasks, seeds, studies)
        if not names:
            names = list(found)
            print("| scores | tasks | seeds |", " | ".join(names), "|")
            print("|---|---:|---:|" + "---|" * len(names), flush=True)
        cells = [f"{ours:.2f} ({theirs:.2f})" for ours, theirs in (found[name] for name in names)]
        print(f"| {kind} | {tasks} | {seeds} |", " | ".join(cells), "|", flush=True)


def print_alternatives(studies: int) -> None:
    """Coverage of a mean by other intervals, and their median width beside that of t."""
    for number, (kind, seeds) in enumerate(product(KINDS, (3, 5, 10, 20))):
        found = alternatives(kind, seeds, studies)
        if not number:
            print("| scores | seeds |", " | ".join(found), "|")
            print("|---|---:|" + "---|" * len(found), flush=True)
        cells = [f"{share:.2f}, {width / found['t'][1]:.2f}" for share, width in found.values()]
        print(f"| {kind} | {seeds} |", " | ".join(cells), "|", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1_000)
    studies = parser.parse_args().studies
    print_alternatives(2 * studies)
    print_coverage(studies)


if __name__ == "__main__":
    main()
