"""Aggregates over tasks and seeds against rliable's own numbers, and the intervals of shares against closed forms."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from composer.studies.profiles import average_profile, grid, performance_profile, sample_efficiency
from composer.studies.shares import improvement_interval, share_interval
from composer.studies.statistics import Curve, Scores, probability_of_improvement

RLIABLE = json.loads((Path(__file__).parent / "rliable.json").read_text())
"""Written by tools/rliable_reference.py in an environment of its own."""


@pytest.fixture(params=RLIABLE["cases"])
def case(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = RLIABLE["cases"][request.param]
    return found


def final(case: dict[str, Any], agent: int = 0) -> Scores:
    """The last scores of one of two agents, by task."""
    return Scores.of(*np.array(case["scores"][agent])[:, :, -1].T)


def test_estimates_are_rliable_s(case: dict[str, Any]) -> None:
    scores, other = final(case), final(case, 1)
    for name, expected in case["estimates"].items():
        assert getattr(scores, name)().value == pytest.approx(expected, abs=1e-6), name
    chance = probability_of_improvement(scores, other).value
    assert chance == pytest.approx(case["probability_of_improvement"], abs=1e-6)


def test_profiles_and_curves_are_rliable_s(case: dict[str, Any]) -> None:
    scores, at = final(case), RLIABLE["thresholds"]
    np.testing.assert_allclose(performance_profile(scores, at).value, case["run_score_distribution"], atol=1e-6)
    np.testing.assert_allclose(average_profile(scores, at).value, case["average_score_distribution"], atol=1e-6)
    values = np.array(case["scores"][0])
    steps = np.arange(values.shape[2]) * 100
    line = sample_efficiency([Curve(steps, values[:, task]) for task in range(values.shape[1])])
    np.testing.assert_allclose(line.value, case["sample_efficiency_iqm"], atol=1e-6)
    np.testing.assert_array_equal(line.at, steps)
    last = scores.iqm()
    assert (line.value[-1], line.low[-1], line.high[-1]) == pytest.approx(last, nan_ok=True)


def test_intervals_agree_with_rliable_s_where_there_are_many_seeds() -> None:
    """26 tasks of 10 seeds: the bootstrap is no longer too narrow by more than a tenth, and t not too wide."""
    scores, bounds = final(RLIABLE["cases"]["many"]), RLIABLE["cases"]["many"]["percentile_bootstrap"]
    for name in ("mean", "iqm", "optimality_gap"):
        low, high = bounds[name]
        ours = getattr(scores, name)()
        assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.15 * (high - low)), name


def test_a_share_has_wilson_s_interval() -> None:
    for above in range(8):
        low, high = share_interval(np.array(above / 7), [7])
        expected = binomtest(above, 7).proportion_ci(method="wilson")
        assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-12)
    # Seven tasks of three seeds are 21 seeds.
    low, high = share_interval(np.array(7 / 21), [3] * 7)
    expected = binomtest(7, 21).proportion_ci(method="wilson")
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_probability_of_improvement_is_where_the_score_equation_says() -> None:
    """The bounds solve Newcombe's equation, and mirror each other."""
    low, high = improvement_interval([0.8], [(5, 4)])

    def distance(chance: float) -> float:
        terms = (1 - chance) / (2 - chance) + chance / (1 + chance)
        return abs(0.8 - chance) / math.sqrt(chance * (1 - chance) * (1 + 3.5 * terms) / 20)

    assert distance(low) == pytest.approx(1.959964, abs=1e-5) == distance(high)
    assert improvement_interval([0.2], [(5, 4)]) == pytest.approx((1 - high, 1 - low))
    # Complete separation of many seeds says more than that of few.
    bounds = [improvement_interval([1.0], [(n, n)]) for n in (3, 5, 10)]
    assert all(high == 1.0 for _, high in bounds) and 0.5 < bounds[0][0] < bounds[1][0] < bounds[2][0] < 1


def test_profiles_of_one_agent() -> None:
    scores = Scores.of([0.0, 0.5, 1.0], [2.0, 3.0, 4.0])
    profile = performance_profile(scores, [-1, 0.5, 4.0])
    np.testing.assert_allclose(profile.value, [1, (1 / 3 + 1) / 2, 0])
    assert (profile.low <= profile.value).all() and (profile.value <= profile.high).all()
    assert profile.high[0] == 1.0 and profile.low[-1] == 0.0 and 0 < profile.low[0] < 1 > profile.high[-1] > 0
    np.testing.assert_array_equal(average_profile(scores, [-1, 0.5, 4.0]).value, [1, 0.5, 0])
    few = performance_profile(Scores.of([1.0, 2.0]), [1.5])
    assert few.value[0] == 0.5 and np.isnan([few.low[0], few.high[0]]).all()
    assert np.isnan(average_profile(Scores.of([1.0, 2.0]), [1.5]).low).all()
    np.testing.assert_allclose(grid([scores], 5), [0, 1, 2, 3, 4])


def test_the_median_has_the_spread_of_middle_tasks() -> None:
    """Tasks far apart: the median is the middle one's mean, and so is its interval; of one task it is the mean."""
    low, middle, high = [0.0, 9.0, 1.0, 4.0], [100.0, 101.0, 103.0, 104.0], [1000.0, 1002.0, 1003.0]
    found, alone = Scores.of(low, middle, high).median(), Scores.of(middle).mean()
    assert found.value == alone.value == Scores.of(middle).median().value
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high), abs=0.3)
    assert math.isnan(Scores.of([1.0], middle).median().low)


def test_the_optimality_gap_counts_what_is_missing() -> None:
    gap = Scores.of([0.5, 1.5, 1.0], [0.0, 2.0, 1.0], bounds=(0.0, 3.0)).optimality_gap()
    assert gap.value == pytest.approx((0.5 / 3 + 1 / 3) / 2) and 0 <= gap.low < gap.value < gap.high <= 1


def test_sample_efficiency_is_read_where_all_tasks_have_points() -> None:
    first = Curve(np.array([10, 20, 30]), np.array([[1.0, 2.0, 3.0]] * 3))
    second = Curve(np.array([20, 30, 40]), np.array([[4.0, 5.0, 6.0]] * 3))
    line = sample_efficiency([first, second])
    assert line.at.tolist() == [20, 30] and line.value.tolist() == [3.0, 4.0]
