"""Statistics over seeds against closed forms, scipy and a known distribution."""

import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, permutation_test, trim_mean

from composer.studies.statistics import (
    Curve,
    Scores,
    difference,
    iqm,
    least_p_value,
    probability_of_improvement,
    seeds_text,
    span,
)


@pytest.mark.parametrize("n", range(1, 14))
def test_iqm_is_the_trimmed_mean(n: int) -> None:
    scores = np.random.default_rng(n).standard_normal((3, n)) ** 3
    np.testing.assert_allclose(iqm(scores), trim_mean(scores, 0.25, axis=-1), rtol=1e-12)


def test_iqm_ignores_the_outer_quarters_of_all_tasks_together() -> None:
    scores = Scores.of([-1e9, 1, 2, 3], [4, 5, 6, 1e9])
    assert scores.iqm().value == (2 + 3 + 4 + 5) / 4
    assert scores.mean().value == pytest.approx((np.mean([-1e9, 1, 2, 3]) + np.mean([4, 5, 6, 1e9])) / 2)


def test_tasks_weigh_the_same_in_the_mean_whatever_their_seeds() -> None:
    assert Scores.of([0.0] * 9, [1.0]).mean().value == 0.5


def test_interval_matches_the_normal_one_for_many_seeds() -> None:
    scores = np.random.default_rng(0).normal(7, 2, 400)
    estimate = Scores.of(scores).mean()
    half = 1.959964 * scores.std() / 20
    np.testing.assert_allclose((estimate.low, estimate.high), (scores.mean() - half, scores.mean() + half), atol=0.02)


def test_the_spread_is_that_within_tasks() -> None:
    """Two constant tasks far apart: over both together the scores would spread, within each they do not."""
    assert Scores.of([0.0] * 5, [100.0] * 5).mean() == (50.0, 50.0, 50.0)


def test_equal_calls_give_equal_figures() -> None:
    x, y = Scores.of([1.0, 5.0, 2.0]), Scores.of([3.0, 2.0, 9.0])
    assert x.iqm() == x.iqm() and difference(x, y) == difference(x, y)


def test_one_seed_has_no_interval() -> None:
    one, many = Scores.of([4.0]), Scores.of([1.0, 2.0, 3.0])
    estimates = (one.mean(), one.iqm(), difference(one, many), probability_of_improvement(many, one))
    assert [estimate.value for estimate in estimates] == [4.0, 4.0, 2.0, 0.0]
    assert all(math.isnan(estimate.low) and math.isnan(estimate.high) for estimate in estimates)
    # A task of one seed would contribute no spread at all: the whole interval would be too narrow.
    assert math.isnan(Scores.of([4.0], [1.0, 2.0, 3.0]).mean().low)


@pytest.mark.parametrize("scores", [[1.0, math.nan], [math.inf], []])
def test_what_is_no_number_is_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match=r"not finite|one or more numbers"):
        Scores.of(scores)


def test_difference_of_two_known_normals() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(5, 1, 300), rng.normal(3, 2, 200)
    gap = difference(Scores.of(x), Scores.of(y))
    half = 1.959964 * math.sqrt(x.var() / 300 + y.var() / 200)
    np.testing.assert_allclose(
        gap, (x.mean() - y.mean(), *(x.mean() - y.mean() + side * half for side in (-1, 1))), atol=0.02
    )


def test_probability_of_improvement_is_mann_whitneys() -> None:
    x, y = [3.0, 1.0, 4.0, 1.0, 5.0], [1.0, 2.0, 6.0]
    chance = probability_of_improvement(Scores.of(x), Scores.of(y))
    assert chance.value == pytest.approx(mannwhitneyu(x, y).statistic / (len(x) * len(y)))
    assert chance.low < chance.value < chance.high
    other = probability_of_improvement(Scores.of(y), Scores.of(x))
    assert chance.value + other.value == pytest.approx(1)
    assert probability_of_improvement(Scores.of([1.0, 2.0]), Scores.of([1.0, 2.0])).value == 0.5
    assert probability_of_improvement(Scores.of([8.0, 9.0], [0.0, 0.0]), Scores.of([1.0, 2.0], [5.0, 7.0])).value == 0.5


@pytest.mark.parametrize(("n", "m"), [(3, 3), (4, 4), (2, 5)])
def test_least_p_value_is_that_of_complete_separation(n: int, m: int) -> None:
    x, y = np.arange(n) + 100.0, np.arange(m) * 1.0
    exact = permutation_test((x, y), lambda a, b: a.mean() - b.mean(), n_resamples=10_000).pvalue
    assert least_p_value(Scores.of(x), Scores.of(y)) == pytest.approx(exact)
    two = least_p_value(Scores.of(x, x), Scores.of(y, y))
    assert two == pytest.approx(exact**2 / 2)


def test_comparing_other_tasks_is_refused() -> None:
    with pytest.raises(ValueError, match="2 and 1 tasks"):
        difference(Scores.of([1.0], [2.0]), Scores.of([1.0]))


def test_area_is_the_mean_over_steps() -> None:
    """A line from 0 to 10 and a constant 4, at uneven steps."""
    steps = np.array([0, 10, 40, 100])
    curve = Curve(steps, np.stack([steps / 10, np.full(4, 4.0)]))
    np.testing.assert_allclose(curve.area(), [5, 4])
    assert Curve(steps[:1], np.array([[7.0]])).area() == 7


def test_first_reach() -> None:
    curve = Curve(np.array([10, 20, 30]), np.array([[1.0, 5.0, 2.0], [0.0, 0.0, 4.9], [5.0, 0.0, 0.0]]))
    assert curve.first_reach(5.0).tolist() == [20, math.inf, 10]


def test_band_is_the_interval_at_each_point() -> None:
    values = np.random.default_rng(3).standard_normal((8, 3))
    mean, low, high = Curve(np.array([1, 2, 3]), values).band()
    for point in range(3):
        estimate = Scores.of(values[:, point]).mean()
        np.testing.assert_allclose((mean[point], low[point], high[point]), estimate, atol=0.05)
    assert np.isnan(Curve(np.array([1]), np.array([[2.0]])).band()[1]).all()


def test_curves_are_checked() -> None:
    with pytest.raises(ValueError, match="rise"):
        Curve(np.array([2, 2]), np.zeros((1, 2)))
    with pytest.raises(ValueError, match=r"\[1, 3\] at \[2\]"):
        Curve(np.array([1, 2]), np.zeros((1, 3)))


def test_an_estimate_without_an_interval_is_written_without_nan() -> None:
    several, one = Scores.of([1.0, 2.0, 3.0, 4.0]).mean(), Scores.of([1.0]).mean()
    assert several.low < several.value == 2.5 < several.high
    assert several.as_dict() == {"value": 2.5, "low": several.low, "high": several.high}
    assert one.as_dict() == {"value": 1.0, "low": None, "high": None}
    assert span(one.as_dict(), ".2f") == "1.00"
    assert span({"value": -1.0, "low": -2.5, "high": 0.25}, "+.1f") == "-1.0 [-2.5, +0.2]"


def test_numbers_of_seeds_stay_short() -> None:
    assert [seeds_text(each) for each in ([5], [5] * 3, [5, 6], [15] * 57)] == ["5", "3×5", "5+6", "57×15"]
    assert seeds_text([3, *[15] * 56]) == "3 to 15 a task"
