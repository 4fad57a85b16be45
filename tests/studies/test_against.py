"""Runs held against published results: Welch's test by scipy, words, and where nothing can be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from comparison_runs import write_run
from scipy import stats

from composer.studies import Refused
from composer.studies.compare import report
from composer.studies.compare.compare import compare
from composer.studies.compare.references import published
from composer.studies.statistics import Scores, span

STEPS = (50_000, 100_000, 250_000)
OURS = [900.0, 940.0, 955.0, 930.0, 921.0]


def run(path: Path, values: list[float], task: str = "walker-walk", steps: tuple[int, ...] = STEPS) -> Path:
    rows = {seed: (0.0, value, value) for seed, value in enumerate(values)}
    return write_run(path, "ours", rows, task, steps=steps)


def test_it_is_welch_s_test_on_what_the_source_says(tmp_path: Path) -> None:
    table = compare([run(tmp_path / "r", OURS)], published="simba-2025").table["against"]
    theirs = published("simba-2025").scores["sac_simba"]["walker-walk"][100_000]
    expected = stats.ttest_ind_from_stats(
        np.mean(OURS), np.std(OURS, ddof=1), 5, *theirs[:2], theirs.seeds, equal_var=False
    )
    row, _ = table["rows"]
    assert (row["env_step"], row["method"], row["seeds"]) == (100_000, "sac_simba", [5])
    assert row["difference"]["value"] == pytest.approx(np.mean(OURS) - theirs.mean)
    assert row["p_value"] == pytest.approx(expected.pvalue)
    assert row["correction"] == {"method": "Holm", "tests": 2}
    own, other = np.var(OURS, ddof=1) / 5, theirs.deviation**2 / theirs.seeds
    freedom = (own + other) ** 2 / (own**2 / 4 + other**2 / (theirs.seeds - 1))
    half = stats.t.ppf(0.975, freedom) * np.sqrt(own + other)
    found = row["difference"]
    assert (found["low"], found["high"]) == pytest.approx((found["value"] - half, found["value"] + half))


def test_the_sentence_names_both_sides_the_protocol_and_the_source(tmp_path: Path) -> None:
    found = compare([run(tmp_path / "r", OURS)], published="simba-2025")
    said, own = report.text(found.table), f"ours, {span(Scores.of(OURS).summary(), '.1f')} (5 seeds)"
    theirs = published("simba-2025").scores["sac_simba"]["walker-walk"]
    first = f"the {theirs[100_000].mean:.1f} ± {theirs[100_000].deviation:.1f} (10 seeds) that SimBa published"
    assert f"at 100,000 on walker-walk {own} shows no difference from {first}" in said
    assert f"at 250,000 on walker-walk {own} lies below the" in said
    assert "(Welch's 95% t interval over seeds); p " in said and "(Holm over 2 comparisons)" in said
    assert "arXiv:2410.09754" in said and "Its protocol: action repeat 2; the mean of 10 evaluation episodes" in said


def test_other_methods_and_all_tasks_together(tmp_path: Path) -> None:
    runs = [run(tmp_path / "w", OURS), run(tmp_path / "h", [3.0, 2.0, 4.0, 1.0, 5.0], "hopper-hop")]
    table = compare(runs, published="simba-2025:sac,td7").table["against"]
    assert {row["method"] for row in table["rows"]} == {"sac", "td7"}
    over = next(row for row in table["all_tasks"] if (row["method"], row["env_step"]) == ("sac", 100_000))
    scores = published("simba-2025").scores["sac"]
    mean = (scores["walker-walk"][100_000].mean + scores["hopper-hop"][100_000].mean) / 2000
    assert over["tasks"] == ["hopper-hop", "walker-walk"] and over["published"]["mean"] == pytest.approx(mean)
    assert over["difference"]["value"] == pytest.approx((np.mean(OURS) + 3) / 2000 - mean)
    assert "at 100,000 over 2 tasks, normalised, ours, " in over["sentence"]


def test_where_the_protocol_differs_a_note_says_so(tmp_path: Path) -> None:
    rows = {seed: (0.0, value) for seed, value in enumerate(OURS)}
    changed = ["environment.action_repeat=1", "evaluation.episodes=3"]
    path = write_run(tmp_path / "r", "ours", rows, steps=STEPS[:2], overrides=changed)
    notes = compare([path], published="simba-2025").table["notes"]
    assert (
        "r does not follow the protocol of simba-2025: environment.action_repeat 1 instead of 2, evaluation.episodes 3"
        " instead of 10" in notes
    )


def test_where_nothing_meets_it_says_why(tmp_path: Path) -> None:
    near = run(tmp_path / "near", OURS, steps=(90_000, 99_000, 101_000))
    with pytest.raises(Refused, match=r"it has walker-walk at 100,000, .* ours at 90,000 to 101,000 in 3 points: set"):
        compare([near], published="simba-2025")
    with pytest.raises(Refused, match="it has no cheetah-run for sac_simba"):
        compare([run(tmp_path / "c", OURS, "cheetah-run")], published="simba-2025")
    with pytest.raises(Refused, match=r"simba-2025 has no method named 'sac_simb'; did you mean 'sac_simba'\?"):
        compare([near], published="simba-2025:sac_simb")
    with pytest.raises(Refused, match="simba-2025 has results of evaluation/return, not of training/return"):
        compare([near], "training/return", published="simba-2025")


def test_two_seeds_claim_nothing(tmp_path: Path) -> None:
    (row, _) = compare([run(tmp_path / "r", [1.0, 2.0])], published="simba-2025").table["against"]["rows"]
    assert row["verdict"] == "undecided" and row["sentence"].endswith("too few seeds for a claim")
