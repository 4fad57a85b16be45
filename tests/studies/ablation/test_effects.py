"""Effects over paired seeds: tests against scipy, adjustment against Holm's definition, error rates by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from composer.studies.ablation.effects import Effect, effect, holm, judged

RNG = np.random.default_rng(7)
WITH, WITHOUT = RNG.normal(1.0, 2.0, 12), RNG.normal(0.4, 2.0, 12)


def test_the_effect_of_one_task_is_the_paired_t_test() -> None:
    found, expected = effect([WITH - WITHOUT], [0.5]), stats.ttest_rel(WITH, WITHOUT)
    assert found.p_differs == pytest.approx(expected.pvalue, rel=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)), rel=1e-12)
    sides = (
        stats.ttest_1samp(WITH - WITHOUT, -0.5, alternative="greater").pvalue,
        stats.ttest_1samp(WITH - WITHOUT, 0.5, alternative="less").pvalue,
    )
    assert found.p_equivalent == pytest.approx(max(sides), rel=1e-12)


def test_over_tasks_it_is_the_mean_of_their_means_with_the_spread_within_each() -> None:
    one, two = WITH[:5], 10 + WITHOUT
    found = effect([one, two], [1.0, 3.0])
    parts = [each.var(ddof=1) / len(each) / 4 for each in (one, two)]
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 4 + parts[1] ** 2 / 11)
    assert found.value == pytest.approx((one.mean() + two.mean()) / 2)
    assert (found.margin, found.seeds) == (2.0, 5)
    assert found.p_differs == pytest.approx(2 * stats.t.sf(abs(found.value) / math.sqrt(sum(parts)), freedom))


def test_runs_that_are_equal_to_the_bit_show_no_effect_and_a_constant_difference_shows_one() -> None:
    same, shifted = effect([np.zeros(4)], [0.1]), effect([np.full(4, 0.2)], [0.1])
    assert (same.p_differs, same.p_equivalent) == (1.0, 0.0)
    assert (shifted.p_differs, shifted.p_equivalent) == (0.0, 1.0)
    assert [each.verdict for each in judged([same, shifted])] == ["no effect", "useful"]


def test_two_seeds_decide_nothing() -> None:
    found = effect([np.array([5.0, 5.1])], [0.1])
    assert math.isnan(found.low)
    assert (found.p_differs, found.p_equivalent) == (1.0, 1.0)
    assert found.as_dict()["low"] is None
    assert judged([found])[0].verdict == "undecided"


def test_holm_multiplies_by_the_number_of_hypotheses_that_are_left_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def column(*pairs: tuple[float, float, float]) -> list[str]:
    effects = [Effect(value, 0.0, 0.0, 9, 1.0, differs, same) for value, differs, same in pairs]
    return [each.verdict for each in judged(effects)]


def test_verdicts() -> None:
    assert column((2, 0.01, 1.0), (-2, 0.02, 1.0), (0.1, 0.9, 0.01), (2, 0.2, 0.8)) == [
        "useful", "undecided", "no effect", "undecided",
    ]  # fmt: skip
    assert column((-2, 0.02, 1.0)) == ["harmful"]
    # An effect that is surely there, and surely below the margin, counts as none.
    assert column((0.2, 0.001, 0.001)) == ["no effect"]


def test_error_rates_over_five_components() -> None:
    """Of 600 ablations with five components each: five without effect, or five whose effect is the margin's size."""
    rng, trials, margin = np.random.default_rng(1), 600, 0.8
    wrong = {"sign": 0, "none": 0}
    for _ in range(trials):
        noise = rng.normal(0, 1, (5, 8))
        null = judged([effect([each], [margin]) for each in noise])
        wrong["sign"] += any(each.verdict in ("useful", "harmful") for each in null)
        edge = judged([effect([each + margin], [margin]) for each in noise])
        wrong["none"] += any(each.verdict == "no effect" for each in edge)
    limit = 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)
    assert 0.02 < wrong["sign"] / trials < limit
    assert 0.02 < wrong["none"] / trials < limit
