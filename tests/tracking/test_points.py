"""Rows to points: which value goes to which chart, and that it happens once."""

import math

import pytest
from scipy import stats

from composer.spec.interval import mean_interval
from composer.tracking.points import NAME_LIMIT, Point, Points, clean, flatten


def row(step: int, seed: int | None, **values: float) -> dict[str, object]:
    return {"seq": 1, "type": "metrics", "env_step": step, "seed": seed, "metrics": values}


def points(seeds: list[int], *rows: dict[str, object]) -> list[Point]:
    converter = Points(seeds)
    return [point for one in rows for point in converter.of(one)]


def test_the_parent_has_the_mean_once_all_seeds_have_reported() -> None:
    found = points([3, 5, 7], row(10, 3, loss=1.0), row(10, 5, loss=2.0), row(10, 7, loss=6.0))
    assert found[:3] == [Point("3", "loss", 10, 1.0), Point("5", "loss", 10, 2.0), Point("7", "loss", 10, 6.0)]
    assert found[3:] == [Point("parent", "loss", 10, 3.0)], "an interval would be a chart of its own"


def evaluations(seeds: list[int], values: dict[int, list[float]], metric: str = "evaluation/return") -> list[Point]:
    converter = Points(seeds, metric=metric)
    rows = [
        row(step, seed, **{metric: value}) for step in values for seed, value in zip(seeds, values[step], strict=True)
    ]
    return [point for one in rows for point in converter.of(one)]


def test_the_headline_has_a_name_an_interval_an_area_and_a_best_value() -> None:
    found = evaluations([0, 1, 2, 3], {0: [0.0, 0.0, 0.0, 0.0], 10: [1.0, 2.0, 3.0, 10.0], 40: [2.0, 2.0, 2.0, 2.0]})
    of_parent = {(point.name, point.step): point.value for point in found if point.run == "parent"}
    low, high = stats.t.interval(0.95, 3, loc=4.0, scale=stats.sem([1.0, 2.0, 3.0, 10.0]))
    assert {name: value for (name, step), value in of_parent.items() if step == 10} == pytest.approx(
        {
            "Result/return": 4.0,
            "Result/return.low": low,
            "Result/return.high": high,
            "Result/return.iqm": 2.5,
            "Result/return.area": 2.0,
            "Result/return.best": 4.0,
            "Result/steps": 10.0,
        }
    )
    assert of_parent["Result/return.area", 40] == pytest.approx((20 + 90) / 40)
    assert of_parent["Result/return.best", 40] == 4.0
    of_child = {point.name: point.value for point in found if point.run == "3" and point.step == 40}
    assert of_child == {
        "Result/return": 2.0,
        "Result/return.area": 5.75,
        "Result/return.best": 10.0,
        "Result/steps": 40,
    }
    assert not [point for point in found if point.name.startswith("evaluation")], "one chart of one quantity"


def test_the_headline_is_the_evaluation_metric_of_the_task() -> None:
    found = evaluations([0], {5: [0.75]}, "evaluation/accuracy")
    assert Point("parent", "Result/accuracy", 5, 0.75) in found and Point("0", "Result/accuracy.best", 5, 0.75) in found


def test_a_headline_that_is_not_finite_is_counted_and_its_area_ends_there() -> None:
    found = evaluations([0], {0: [4.0], 10: [math.nan], 20: [6.0]})
    of_parent = [(point.name, point.step, point.value) for point in found if point.run == "parent"]
    assert ("Result/return.nonfinite", 10, 1.0) in of_parent and ("Result/return.best", 20, 6.0) in of_parent
    assert [step for name, step, _ in of_parent if name == "Result/return.area"] == [0]


def test_one_seed_has_a_mean_and_no_interval() -> None:
    assert points([3], row(1, 3, loss=2.0)) == [Point("3", "loss", 1, 2.0), Point("parent", "loss", 1, 2.0)]


def test_seeds_are_never_averaged_across_steps_or_in_part() -> None:
    found = points(
        [0, 1], row(1, 0, loss=1.0), row(2, 1, loss=1.0), row(3, 0, loss=1.0, other=2.0), row(3, 1, other=4.0)
    )
    assert [(point.name, point.step) for point in found if point.run == "parent"] == [("other", 3)]


def test_non_finite_values_are_counted_and_spoil_the_mean_visibly() -> None:
    found = points(
        [0, 1], row(1, 0, loss=math.nan), row(1, 1, loss=1.0), row(2, 0, loss=-math.inf), row(2, 1, loss=1.0)
    )
    assert found == [
        Point("0", "loss.nonfinite", 1, 1.0),
        Point("1", "loss", 1, 1.0),
        Point("parent", "loss.nonfinite", 1, 1.0),
        Point("0", "loss.nonfinite", 2, 2.0),
        Point("1", "loss", 2, 1.0),
        Point("parent", "loss.nonfinite", 2, 2.0),
    ]


def test_a_value_given_twice_for_one_step_stands_as_first_given() -> None:
    event = {"seq": 2, "type": "event", "env_step": 1, "name": "reset", "data": {}}
    found = points([0], row(1, 0, loss=1.0), row(1, 0, loss=9.0), event, event, row(1, None, loss=9.0))
    assert found == [
        Point("0", "loss", 1, 1.0), Point("parent", "loss", 1, 1.0), Point("parent", "events/reset", 1, 1.0)
    ]  # fmt: skip


def test_steps_that_a_resume_passes_again_keep_their_first_speed() -> None:
    speeds = [(100, 1.0), (200, 2.0), (300, 3.0), (200, 9.0), (300, 9.0), (400, 4.0)]
    found = points([0], *(row(step, None, speed=speed) | {"type": "timing"} for step, speed in speeds))
    assert [(point.step, point.value) for point in found] == [(100, 1.0), (200, 2.0), (300, 3.0), (400, 4.0)]


def test_rows_of_no_seed_belong_to_the_parent() -> None:
    assert points([0, 1], row(1, None, speed=5.0)) == [Point("parent", "speed", 1, 5.0)]


def test_two_seeds_have_no_interval_and_a_range_bounds_that_of_three() -> None:
    metric = "evaluation/accuracy"
    assert not [point for point in evaluations([0, 1], {1: [0.2, 0.9]}, metric) if point.name.endswith(".low")]
    converter = Points([0, 1, 2], {metric: (0.0, 1.0)}, metric)
    found = [p for seed in range(3) for p in converter.of(row(1, seed, **{metric: [0.2, 0.9, 1.0][seed]}))]
    assert [point.value for point in found if point.name.endswith((".low", ".high"))] == [0.0, 1.0]


def test_a_diverging_run_overflows_nothing() -> None:
    low, high = mean_interval([1e300, 1.1e300, 0.9e300])
    assert low < 1e300 < high < 1.3e300
    found = evaluations([0, 1, 2], {1: [1.7e308, -1.7e308, 0.0], 9: [1.7e308, 1.7e308, 1.7e308]})
    of_parent = [point for point in found if point.run == "parent" and point.step == 1]
    assert of_parent[0] == Point("parent", "Result/return", 1, 0.0)
    assert Point("parent", "Result/return.low.nonfinite", 1, 1.0) in of_parent
    assert Point("parent", "Result/return.high.nonfinite", 1, 1.0) in of_parent


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("critic/q1: mean", "critic/q1: mean"),
        ("a[0]", "a_0_"),
        ("Verlust/Größe", "Verlust/Gr__e"),
        ("../../etc", "etc"),
        ("a//b/", "a/b"),
        ("", "_"),
        ("x" * 400, "x" * NAME_LIMIT),
    ],
)
def test_names_are_those_that_mlflow_takes(name: str, expected: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    assert clean(name) == expected
    _validate_metric_name(clean(name))


def test_parameters_are_flattened_to_dotted_names() -> None:
    table = {
        "a": {"b": 1, "c": []},
        "layers": [{"kind": "linear"}, {"kind": "norm", "sizes": [1, 2]}],
        "d": {},
        "e": None,
    }
    assert flatten(table) == {
        "a.b": "1",
        "a.c": "[]",
        "layers.0.kind": "linear",
        "layers.1.kind": "norm",
        "layers.1.sizes": "[1, 2]",
        "d": "{}",
        "e": "None",
    }
    assert flatten({}) == {}


def firing(step: int, seed: int, **more: int) -> dict[str, object]:
    return {"seq": 1, "type": "event", "env_step": step, "seed": seed, "name": "reset", **more}


def counts(found: list[Point], run: str) -> list[tuple[int, float]]:
    assert {point.name for point in found} == {"interventions/reset"}
    return [(point.step, point.value) for point in found if point.run == run]


def test_firings_rise_in_stairs_and_the_parent_has_their_mean() -> None:
    found = points([0, 1], firing(40, 0), firing(40, 1), firing(60, 0), firing(80, 0, firings=3), firing(80, 1))
    assert counts(found, "0") == [(0, 0), (39, 0), (40, 1), (59, 1), (60, 2), (79, 2), (80, 5)]
    assert counts(found, "1") == [(0, 0), (39, 0), (40, 1), (79, 1), (80, 2)]
    assert counts(found, "parent") == [(0, 0), (39, 0), (40, 1), (59, 1), (60, 1.5), (79, 1.5), (80, 3.5)]


def test_a_firing_of_some_seeds_is_in_the_mean_once_a_later_step_begins() -> None:
    converter = Points([0, 1])
    assert counts([*converter.of(firing(1, 1))], "parent") == []
    assert [*converter.of(firing(1, 1))] == [], "once a step"
    later = [point for point in converter.of(row(5, 0, loss=1.0)) if point.name != "loss"]
    assert counts(later, "parent") == [(0, 0), (1, 1)]
    converter = Points([0, 1])
    assert counts([*converter.of(firing(0, 0))], "0") == [(0, 1)], "at step 0 there is no before"
