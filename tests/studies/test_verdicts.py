"""What a comparison's sentence claims: corrected for all pairs, not from too few seeds, with the seeds it needs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from composer.studies.compare.read_runs import Agent
from composer.studies.compare.verdicts import Pair, holm, judge, pairs_of, seeds_needed
from composer.studies.statistics import Scores

GOOD, SAME, OTHER = ([10.0, 11.0, 12.0, 13.0, 14.0], [10.5, 10.0, 12.5, 13.0, 13.5], [1.0, 2.0, 3.0, 4.0, 5.0])


def agents(**scores: list[float]) -> dict[Agent, Scores]:
    return {Agent(name, None): Scores.of(values) for name, values in scores.items()}


def test_holm_s_method() -> None:
    """By hand: 0.01 · 4, then 0.02 · 3, then 0.03 · 2 raised to what comes before, and 0.9 · 1."""
    assert holm([0.03, 0.9, 0.01, 0.02]) == pytest.approx([0.06, 0.9, 0.04, 0.06])
    assert holm([0.4, 0.8]) == pytest.approx([0.8, 0.8]) and holm([0.04]) == [0.04] and holm([]) == []


def test_p_is_welch_s_and_no_smaller_than_permutation_allows() -> None:
    (pair,) = pairs_of(agents(good=GOOD, same=SAME), "t")
    assert pair.p == pytest.approx(stats.ttest_ind(GOOD, SAME, equal_var=False).pvalue)
    (clear,) = pairs_of(agents(good=GOOD, other=OTHER), "t")
    assert stats.ttest_ind(GOOD, OTHER, equal_var=False).pvalue < clear.p == pytest.approx(2 / 252)


def test_all_pairs_are_one_family() -> None:
    alone = judge(pairs_of(agents(good=GOOD, other=OTHER), "t"), ".1f")
    three = judge(pairs_of(agents(good=GOOD, same=SAME, other=OTHER), "t"), ".1f")
    assert alone[0]["p_value_corrected"] == alone[0]["p_value"] == three[1]["p_value"]
    assert three[1]["p_value_corrected"] == pytest.approx(3 * alone[0]["p_value"])
    assert [row["decided"] for row in three] == [False, True, True]
    # Seven such agents make 21 pairs: what five seeds can show at best is no longer enough.
    many = judge(pairs_of(agents(**{f"a{n}": [v + 100 * n for v in GOOD] for n in range(7)}), "t"), ".1f")
    assert not any(row["decided"] for row in many)
    assert many[0]["verdict"].startswith("too few seeds for any claim: 5 against 5 cannot give p < 0.05 in one of 21")


def test_the_sentence_says_verdict_interval_method_seeds_and_correction() -> None:
    rows = judge(pairs_of(agents(good=GOOD, same=SAME, other=OTHER), "walker-walk at environment step 300"), ".1f")
    assert rows[1]["sentence"] == (
        "walker-walk at environment step 300: good scores higher than other; good - other is 9.0 [6.7, 11.3],"
        " P(improvement) 1.00 [0.64, 1.00], 95% t interval over 5 and 5 seeds; p = 0.024 (Holm over 3 comparisons)"
    )
    needed = rows[0]["seeds_needed"]
    assert rows[0]["verdict"] == "no difference shown between good and same" and needed is None
    assert rows[0]["sentence"].endswith("would need more than 1,000 seeds each for 80% power")


def test_an_interval_that_the_correction_overrules_is_told() -> None:
    near = [value - 2.6 for value in GOOD]
    (alone,) = judge(pairs_of(agents(good=GOOD, near=near), "t"), ".1f")
    assert alone["decided"] and alone["difference"]["low"] > 0
    rows = judge(pairs_of(agents(good=GOOD, near=near, same=SAME), "t"), ".1f")
    assert not rows[0]["decided"]
    assert rows[0]["verdict"] == "no difference shown between good and near once 3 comparisons are corrected for"


def test_few_seeds_claim_nothing_whatever_they_show() -> None:
    (pair,) = judge(pairs_of(agents(a=[1.0, 2.0], b=[90.0, 91.0]), "t"), ".1f")
    assert not pair["decided"] and pair["p_value"] == 1.0 and "p =" not in pair["sentence"]
    (one,) = judge(pairs_of(agents(a=[1.0], b=[90.0]), "t"), ".1f")
    assert one["seeds_needed"] is None and "would need" not in one["sentence"]


@pytest.mark.parametrize(("effect", "tests"), [(1.0, 1), (2.0, 1), (0.7, 6)])
def test_that_many_seeds_have_the_power(effect: float, tests: int) -> None:
    """Exactly, by the noncentral t distribution: 80 % with that number, less with one seed fewer."""
    values = np.random.default_rng(0).standard_normal(50)
    values = (values - values.mean()) / values.std(ddof=1)
    needed = seeds_needed(Scores.of(values + effect), Scores.of(values), tests)
    assert needed is not None

    def power(count: int) -> float:
        level, freedom, shift = 0.05 / tests, 2 * count - 2, effect * np.sqrt(count / 2)
        return float(stats.nct.sf(stats.t.ppf(1 - level / 2, freedom), freedom, shift))

    assert power(needed) > 0.79 and power(needed - 2) < 0.81


def test_seeds_that_are_needed_are_enough_for_a_permutation_too() -> None:
    """Complete separation without spread needs four seeds each, and more where more pairs are compared."""
    ours, theirs = Scores.of([1.0, 1.0, 1.0]), Scores.of([0.0, 0.0, 0.0])
    assert seeds_needed(ours, theirs) == 4 and seeds_needed(ours, theirs, 3) == 5
    assert seeds_needed(ours, ours) is None


def test_a_false_claim_is_rarer_than_one_study_in_twenty() -> None:
    """Three equal agents, five seeds, 400 studies: any claim at all in at most 5 % of them, but for chance."""
    rng = np.random.default_rng(7)
    draws = rng.standard_normal((400, 3, 5))
    names = [Agent(name, None) for name in "abc"]
    false = 0
    for study in draws:
        scores = {name: Scores.of(values) for name, values in zip(names, study, strict=True)}
        false += min(holm([pair.p for pair in pairs_of(scores, "t")])) <= 0.05
    assert false / 400 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)
    assert isinstance(pairs_of(scores, "t")[0], Pair)
