"""What is said of many pairs at once: how many are decided, which, and which is nearest to a decision."""

from __future__ import annotations

from composer.studies.compare.conclusion import HEADS, NAMED, SHOWN, conclusions, pair_table
from composer.studies.compare.read_runs import Agent
from composer.studies.compare.verdicts import judge, pairs_of
from composer.studies.statistics import Scores

GOOD = [10.0, 11.0, 12.0, 13.0, 14.0, 12.0]


def judged(**scores: list[float]) -> list[dict[str, object]]:
    return judge(pairs_of({Agent(name, None): Scores.of(values) for name, values in scores.items()}, "t"), ".1f")


def test_one_pair_is_said_whole_and_needs_no_table() -> None:
    (pair,) = rows = judged(good=GOOD, same=GOOD)
    assert conclusions(rows, ".1f") == [f"{pair['sentence']}."] and pair_table(rows, ".1f") == []
    assert conclusions([], ".1f") == [] and pair_table([], ".1f") == []


def test_several_pairs_are_counted_named_and_listed_by_p() -> None:
    rows = judged(good=GOOD, near=[value - 1.0 for value in GOOD], low=[value - 9.0 for value in GOOD])
    decided, nearest = conclusions(rows, ".1f")
    assert decided.startswith(
        "t: 2 of 3 pairs are decided at 5% (Holm over 3 comparisons): good scores higher than low"
    )
    assert "good - low 9.0 [" in decided and "near scores higher than low (near - low 8.0 [" in decided
    assert nearest.startswith("Nearest to a decision: no difference shown between good and near; good - near is 1.0 [")
    assert nearest.endswith("for 80% power.")
    head, *body = pair_table(rows, ".1f")
    assert head == HEADS and [row[0] for row in body] == ["good - low", "near - low", "good - near"]
    assert [row[-1] for row in body][:2] == ["decided", "decided"] and int(body[2][-1]) > 6


def test_many_pairs_are_said_in_two_sentences_and_a_short_table() -> None:
    rows = judged(**{f"a{index}": [value + 30 * index for value in GOOD] for index in range(7)})
    (said,) = conclusions(rows, ".1f")
    assert said.startswith("t: 21 of 21 pairs are decided") and said.endswith(f"and {21 - NAMED} more.")
    assert len(pair_table(rows, ".1f")) == 1 + SHOWN + 1 and "and 6 more" in pair_table(rows, ".1f")[-1][0]
    none = conclusions(judged(a=GOOD, b=GOOD, c=GOOD), ".1f")
    assert none[0] == "t: 0 of 3 pairs are decided at 5% (Holm over 3 comparisons)."
