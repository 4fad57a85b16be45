"""Differences as lines of a terminal."""

from __future__ import annotations

import re

import pytest

from composer import api
from composer.blueprint.inspect.as_written import ABSENT, Change, changes, side
from composer.blueprint.inspect.diff_rows import diff_rows, plain_text


def lines(width: int, *found: Change) -> list[str]:
    return plain_text(diff_rows(found, width)).split("\n")


def shipped(left: str, right: str, width: int) -> list[str]:
    return lines(width, *changes(side(api.load(left)), side(api.load(right))))


def words(text: str) -> set[str]:
    """Names and numbers."""
    return set(re.findall(r"[A-Za-z_]\w*|\d[\w.+-]*\d|\d", text))


def test_columns_are_aligned_and_tables_stand_together() -> None:
    found = lines(
        100,
        Change(("seeds",), [0], [0, 1]),
        Change(("training", "env_steps"), 1000, ABSENT, (ABSENT, 500)),
        Change(("networks", "a", "width"), 8, 128),
        Change(("replay", "capacity"), 10, 20),
        Change(("networks", "a", "head"), ABSENT, {"kind": "scalar"}),
        Change(("networks", "critic"), {"width": 4}, ABSENT),
    )
    assert found == [
        "~ seeds               [0]  → [0, 1]",
        "~ training.env_steps  1000 → 500 (default)",
        "",
        "~ networks.a.width  8 → 128",
        "+ networks.a.head   scalar",
        "- networks.critic   {width=4}",
        "",
        "~ replay.capacity  10 → 20",
    ]


def test_a_long_row_becomes_a_row_for_each_argument_that_differs() -> None:
    ours = {"kind": "dqn", "batch_size": 64, "discount": 0.99, "double": True}
    theirs = {"kind": "sac", "batch_size": 256, "discount": 0.99, "temperature": 0.1}
    one = Change(("algorithm",), ours, theirs)
    assert lines(120, one)[0].startswith("~ algorithm  dqn(batch_size=64, discount=0.99, double=true) → sac(")
    assert lines(50, one) == [
        "~ algorithm              dqn(…) → sac(…)",
        "~ algorithm.batch_size   64     → 256",
        "- algorithm.double       true",
        "+ algorithm.temperature  0.1",
    ]
    assert shipped("dmc/sac_simba", "dmc/sac_simba_post", 100)[0] == (
        "~ networks.actor.trunk   simba(width=128, blocks=1) → simba_post(width=128, blocks=1)"
    )
    assert shipped("dmc/sac_simba", "dmc/sac_simba_post", 80) == [
        "~ networks.actor.trunk   simba(…) → simba_post(…)",
        "~ networks.critic.trunk  simba(…) → simba_post(…)",
    ]


def test_only_what_both_share_is_shortened() -> None:
    same = "a long way that both values share, word by word, "
    end = ", and an end that is the same in both as well"
    assert lines(60, Change(("environment", "id"), f"{same}left{end}", f"{same}right{end}")) == [
        "~ environment.id",
        "    - …left…",
        "    + …right…",
    ]
    ours, theirs = [f"left_{number}" for number in range(30)], [f"right_{number}" for number in range(20)]
    found = lines(60, Change(("environment", "ids"), ours, theirs))
    assert re.findall(r"\w+_\d+", "\n".join(found)) == [*ours, *theirs]
    assert max(map(len, found)) <= 60


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize(
    "pair",
    [
        ("classic/cartpole_dqn", "dmc/sac_simba"),
        ("dmc/sac_simba", "dmc/simba_v2"),
        ("dmc/sac_hare_tortoise", "dmc/sac_hare_tortoise@moments_zero"),
        ("dmc/sac_injection", "dmc/sac_resets"),
        ("atari/rainbow", "atari/drq"),
        ("plasticity/shuffled_labels", "warm_start/vit_tiny"),
    ],
)
def test_shipped_pairs_fit_and_keep_every_word_that_differs(pair: tuple[str, str], width: int) -> None:
    found = shipped(*pair, width)
    assert max(map(len, found)) <= width
    for one in changes(*(side(api.load(each)) for each in pair)):
        ours, theirs = map(words, one.texts())
        assert (ours ^ theirs) <= words("\n".join(found)), one
