"""The one interval: closed forms, its coverage, and that every place shows the same one for the same numbers."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tiny_runs import TINY

from composer.blueprint import dump, load
from composer.spec.interval import interval, mean_interval, mean_text, method
from composer.spec.metrics import Metric
from composer.studies.compare import report
from composer.studies.compare.compare import compare
from composer.studies.doctor.verdict import interval as of_gains
from composer.studies.retention.retention import TaskRun
from composer.studies.retention.retention import _agent as agent_row
from composer.studies.statistics import (
    COVERAGE,
    Curve,
    Scores,
    coverage_notes,
    difference,
    probability_of_improvement,
    span,
)
from composer.tracking.console import Console
from composer.tracking.journal import Journal
from composer.tracking.points import Points

RETURNS = [329.0, 437.0, 12.0, 871.0, 405.0]


def welch(x: list[float], y: list[float]) -> tuple[float, float]:
    """Welch's interval of the difference of two means, by scipy."""
    found = stats.ttest_ind(x, y, equal_var=False).confidence_interval(0.95)
    return float(found.low), float(found.high)


@pytest.mark.parametrize("values", [[3.0, -1.0, 0.5], [1.0, 2.0, 3.0, 1e6], RETURNS, [5.0] * 7])
def test_of_a_mean_it_is_student_s(values: list[float]) -> None:
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values)) if np.ptp(values) else [5, 5]
    assert mean_interval(values) == pytest.approx(expected, rel=1e-9)


def test_of_a_difference_it_is_welch_s() -> None:
    other = [100.0, 90.0, 240.0]
    gap = difference(Scores.of(RETURNS), Scores.of(other))
    assert (gap.low, gap.high) == pytest.approx(welch(RETURNS, other), rel=1e-9)


def test_of_a_mean_over_tasks_it_adds_the_variances_of_tasks() -> None:
    """Two tasks of equal variance: Satterthwaite gives the sum of both degrees of freedom."""
    x, y = [1.0, 2.0, 3.0], [11.0, 12.0, 13.0]
    mean = Scores.of(x, y).mean()
    half = stats.t.ppf(0.975, 4) * math.sqrt(1 / 3 + 1 / 3) / 2
    assert (mean.value, mean.low, mean.high) == pytest.approx((7.0, 7 - half, 7 + half))


def test_of_an_interquartile_mean_it_is_tukey_and_mclaughlin_s() -> None:
    """Ten seeds: two are left out at either end; six count, with five degrees of freedom."""
    values = np.random.default_rng(0).standard_normal(10)
    winsorised = stats.mstats.winsorize(values, limits=(0.2, 0.2)).std(ddof=1)
    error = float(winsorised) / (0.6 * math.sqrt(10))
    found = Scores.of(values).iqm()
    half = stats.t.ppf(0.975, 5) * error
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))


def test_it_stays_within_what_is_possible() -> None:
    assert mean_interval([10.0, 900.0, 995.0], (0.0, 1000.0)) == (0.0, 1000.0)
    assert Scores.of([0.9, 1.0, 1.0], bounds=(0.0, 1.0)).mean().high == 1.0
    gap = difference(Scores.of([0.0, 1.0, 1.0], bounds=(0, 1)), Scores.of([1.0, 0.0, 0.0], bounds=(0, 1)))
    assert (gap.low, gap.high) == (pytest.approx(welch([0.0, 1.0, 1.0], [1.0, 0.0, 0.0])[0]), 1.0)
    chance = probability_of_improvement(Scores.of([1.0, 3.0, 5.0]), Scores.of([2.0, 0.0, 0.5]))
    assert 0 <= chance.low < chance.value < chance.high < 1.0
    # A value outside of a range that was declared wrongly stays within its interval.
    assert mean_interval([2.0, 2.0, 2.0], (0.0, 1.0)) == (2.0, 2.0)


def test_there_is_none_below_three_seeds() -> None:
    for values in ([1.0], [1.0, 2.0]):
        assert all(map(math.isnan, mean_interval(values)))
        assert math.isnan(Scores.of([1.0, 2.0, 3.0], values).mean().low), "nor where one task has fewer"
        assert math.isnan(difference(Scores.of([1.0, 2.0, 3.0]), Scores.of(values)).low)
    assert mean_text([1.5, 2.5]) == "2.0 (1.5, 2.5)"
    assert span(Scores.of([1.5, 2.5]).summary(), ".1f") == "2.0 (1.5, 2.5)"
    assert span(Scores.of([1.5]).summary(), ".1f") == "1.5"
    assert not coverage_notes(2, "seeds")


def test_complete_separation_has_an_interval_of_the_probability() -> None:
    """Its seeds have no spread, but three of them say no more than that one is better: the rest is open."""
    found = probability_of_improvement(Scores.of([4.0, 5.0, 6.0]), Scores.of([1.0, 2.0, 3.0]))
    assert found.value == found.high == 1.0 and found.low == pytest.approx(0.501, abs=1e-3)


def failing(n: int, trials: int) -> tuple[np.ndarray, float]:
    """Returns of which one in five fails, and their mean."""
    rng = np.random.default_rng(1)

    def draw(*shape: int) -> np.ndarray:
        works = rng.random(shape) < 0.8
        return np.clip(np.where(works, rng.normal(800, 50, shape), rng.normal(100, 50, shape)), 0, 1000)

    return draw(n, trials), float(draw(1_000_000).mean())


@pytest.mark.parametrize("n", [3, 5, 8, 20])
def test_coverage_is_what_is_said(n: int) -> None:
    trials = 6_000
    values = np.random.default_rng(n).normal(3, 2, (n, trials))
    low, high = interval(values.mean(0), [values])
    assert ((low <= 3) & (high >= 3)).mean() == pytest.approx(0.95, abs=0.012)
    skewed, truth = failing(n, trials)
    low, high = interval(skewed.mean(0), [skewed], (0.0, 1000.0))
    covered = ((low <= truth) & (high >= truth)).mean()
    assert covered == pytest.approx(COVERAGE[n], abs=0.02) if n in COVERAGE else covered > 0.87


def run_directory(path: Path, values: list[float]) -> Path:
    """A finished run whose evaluation ended with these returns, one per seed."""
    path.mkdir()
    found = load(TINY, [f"seeds={list(range(len(values)))}"]).blueprint
    (path / "blueprint.toml").write_text(dump(found))
    facts = {"name": path.name, "variant": None, "task": "t", "seeds": list(found.seeds), "run_id": path.name}
    (path / "run.json").write_text(json.dumps(facts))
    with Journal(path / "journal.jsonl") as journal:
        for seed, value in enumerate(values):
            metrics = {"evaluation/return": value}
            journal.append({"type": "metrics", "env_step": 1200, "seed": seed, "metrics": metrics})
    return path


@pytest.mark.parametrize("values", [RETURNS, [10.0, 900.0, 995.0], [329.0, 437.0]])
def test_every_place_shows_the_same_interval(values: list[float], tmp_path: Path) -> None:
    """MLflow, the console, compare in JSON, text and plots, doctor: one function, one name, one range."""
    bounds = (0.0, 1000.0)
    low, high = mean_interval(values, bounds)
    has_one = len(values) > 2
    converter = Points(range(len(values)), {"evaluation/return": bounds})
    written = [{"seed": seed, "metrics": {"evaluation/return": value}} for seed, value in enumerate(values)]
    points = [point for row in written for point in converter.of({"type": "metrics", "env_step": 1, **row})]
    sent = {point.name: point.value for point in points if point.run == "parent"}
    stream = io.StringIO()
    with Console(2, stream=stream) as console:
        console.evaluation(1, dict(enumerate(values)), metric=Metric("evaluation/return", "", "", *bounds))
    table = compare([run_directory(tmp_path / "a", values)]).table
    mean = table["tasks"][0]["agents"][0]["final"]["mean"]
    band = Curve(np.array([1]), np.array(values)[:, None], bounds).band()
    gain = of_gains(np.array(values)[:, None], bounds)
    accuracy = TaskRun("base", tuple(range(len(values))), np.tile(np.array(values)[:, None] / 1000, 10), {})
    first = agent_row(accuracy, accuracy)["first"]
    said = report.text(table)
    if has_one:
        assert (sent["Result/return.low"], sent["Result/return.high"]) == pytest.approx((low, high))
        assert (mean["low"], mean["high"]) == pytest.approx((low, high))
        assert (band[1][0], band[2][0]) == pytest.approx((low, high))
        assert (gain.low, gain.high) == pytest.approx((low, high))
        assert (first["low"], first["high"]) == pytest.approx((low / 1000, high / 1000)), "retention"
        assert f"{low:,.1f} to {high:,.1f}" in stream.getvalue() and f"[{low:.1f}, {high:.1f}]" in said
        assert method(f"{len(values)} seeds") in stream.getvalue() and method() in said
        assert table["interval"]["method"] == method() == "95% t interval over seeds"
    else:
        assert "Result/return.low" not in sent and mean["low"] is None
        assert np.isnan(band[1][0]) and math.isnan(gain.low)
        assert span(first, ".3f") == "0.383 (0.329, 0.437)", "retention"
        assert "383.0 (329.0, 437.0)" in stream.getvalue() and "383.0 (329.0, 437.0)" in said
        assert "with fewer than 3 seeds there is no interval" in said
