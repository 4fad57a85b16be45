"""The table ``[search]``: spaces and what they may not be, and the scores that trials report."""

from __future__ import annotations

import numpy as np
import pytest
from planted import subject

from composer.blueprint import BlueprintError
from composer.studies.search.objective import Report, SoFar, final_score, reports
from composer.studies.search.table import SearchTable, Space
from composer.training.runs.results import Series


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ('"a.b" = { low = 1 }', 'search.space."a.b": .*both low and high'),
        ('"a.b" = { low = 2, high = 1 }', "low must be below high, got 2 and 1"),
        ('"a.b" = { low = 0, high = 1, log = true }', "a low above 0, and no step"),
        ('"a.b" = { low = 0, high = 1, step = 2 }', "at most high - low, got 2"),
        ('"a.b" = { low = 0, choices = [1] }', "exclude each other"),
        ('"a.b" = [1, 1]', "listed twice"),
        ('width = [1, 2]', "'width' is no key such as algorithm.batch_size, and has no keys"),
        ('"a.b" = [1, 2]\nw = { keys = ["a.b"], low = 1, high = 2 }', "'a.b' is set by both 'a.b' and 'w'"),
        ('"a.b" = { lwo = 1, high = 2 }', r"lwo: unknown key; did you mean 'low'\?"),
        ("", "space"),
    ],
)  # fmt: skip
def test_wrong_spaces_are_told_at_their_lines(space: str, message: str) -> None:
    with pytest.raises(BlueprintError, match=message) as caught:
        subject("", f"[search.space]\n{space}")
    assert str(caught.value).startswith("study.toml:")


def test_a_space_knows_its_ends_and_its_distribution() -> None:
    whole = Space(low=8, high=65, step=8)
    assert whole.ends == (8, 64) and (whole.distribution.low, whole.distribution.high) == (8, 64)
    assert whole.holds(24) and not whole.holds(25) and not whole.holds(72) and not whole.holds(24.0)
    rate = Space(low=1e-5, high=1e-2, log=True)
    assert rate.distribution.log and rate.holds(1e-3) and not rate.holds(0.1) and not rate.holds(True)
    grid = Space(low=0.1, high=0.3, step=0.1)
    assert grid.ends == (0.1, pytest.approx(0.3)) and grid.holds(0.1 + 0.1) and not grid.holds(0.25)
    mixed = SearchTable(space={"a.b": [1, True, "x"]}).space["a.b"]  # type: ignore[dict-item]
    assert mixed.choices == (1, True, "x") and mixed.holds(True) and not mixed.holds(1.0)


def test_one_space_may_set_several_keys() -> None:
    table = SearchTable(
        space={"width": Space(keys=("a.width", "b.width"), low=1, high=4), "c.d": Space(choices=("x",))}
    )
    assert table.overrides({"width": 2, "c.d": "x"}) == ("a.width=2", "b.width=2", 'c.d="x"')


def series(*seeds: list[float]) -> Series:
    return Series(np.array([100, 200]), np.array(seeds))


def test_a_score_is_of_the_same_tasks_and_seeds_whenever_it_is_reported() -> None:
    first, second = SoFar(series([1, 2], [3, 4]), 250, True), SoFar(series([10, 20], [30, np.nan]), 200, False)
    assert reports([first, second]) == [Report(100, 2), Report(200, 3), Report(350, 7)]
    running = first._replace(is_finished=False)
    assert reports([running, second]) == [Report(100, 2), Report(200, 3)], "the second task waits for the first"
    assert final_score([first, second]) is None and final_score([first]) == 3
    assert final_score([first, second._replace(is_finished=True)]) == 7
    assert final_score([SoFar(None, 200, True)]) is None
