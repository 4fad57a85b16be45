"""Axes are crossed, zipped and thinned out as in closed form."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.blueprint.syntax.read import parse_tree
from composer.blueprint.syntax.write import toml_value
from composer.studies.study.axes import MAX_POINTS, Axes, read_axes
from composer.studies.study.points import same


def axes_of(text: str) -> Axes:
    return read_axes(parse_tree(text.encode(), "study.toml"))


def points(text: str) -> list[dict[str, Any]]:
    found = axes_of(text)
    assert not found.problems
    return [dict(each) for each in found.combinations]


def test_without_axes_there_is_one_point() -> None:
    assert points("study = 1") == [{}]


def test_the_last_axis_varies_fastest_and_several_blueprints_are_the_first() -> None:
    found = points('blueprints = ["a", "b"]\n[axis]\nx = [1, 2]\ny = [true, false]')
    assert [tuple(each.values()) for each in found] == [*product("ab", (1, 2), (True, False))]
    assert [*found[0]] == ["blueprint", "x", "y"]


def test_zipped_axes_vary_together_where_the_first_of_them_is() -> None:
    found = points('zip = [["c", "a"]]\n[axis]\na = [1, 2]\nb = ["x", "y", "z"]\nc = [10, 20]')
    assert found == [{"a": a, "b": b, "c": 10 * a} for a in (1, 2) for b in "xyz"]


def test_excluded_points_match_all_values_of_an_entry() -> None:
    text = "[[exclude]]\nx = [2, 3]\ny = 1\n[[exclude]]\nx = 1\n[axis]\nx = [1, 2, 3]\ny = [0.5, 1]"
    assert points(text) == [{"x": 2, "y": 0.5}, {"x": 3, "y": 0.5}]


def test_a_boolean_is_no_number() -> None:
    assert not same(True, 1) and not same(0, False) and same(1, 1.0) and not same("1", 1)
    (problem,) = axes_of("[[exclude]]\nresets = 1\n[axis]\nresets = [false, true]").problems
    assert problem.message == "axis 'resets' has no value integer 1" and problem.hint == "it has 'false', 'true'"


VALUES = st.lists(st.integers(-9, 9), min_size=1, max_size=4, unique=True)


@given(st.dictionaries(st.sampled_from("abcde"), VALUES, max_size=4), st.data())
def test_any_axes_make_their_product_without_what_is_excluded(axes: dict[str, list[int]], data: Any) -> None:
    whole = [dict(zip(axes, chosen, strict=True)) for chosen in product(*axes.values())]
    excluded = data.draw(st.lists(st.sampled_from(whole), max_size=3, unique_by=str)) if axes else []
    text = "".join(f"[[exclude]]\n{lines(each)}" for each in excluded) + f"[axis]\n{lines(axes)}"
    found = axes_of(text)
    wanted = [point for point in whole if point not in excluded]
    if wanted:
        assert not found.problems and [dict(each) for each in found.combinations] == wanted
    else:
        assert [each.message for each in found.problems] == ["excludes every point"]


def lines(table: dict[str, Any]) -> str:
    return "".join(f"{key} = {toml_value(value)}\n" for key, value in table.items())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[axis]\nx = []", "2:5 axis.x: has no value"),
        ("blueprints = []", "1:14 blueprints: has no value"),
        ("[axis]\nx = [1, true]", "2:9 axis.x[1]: an axis has values of one type: boolean true after integer 1"),
        ('[axis]\nx = ["a", 1]', '2:11 axis.x[1]: an axis has values of one type: integer 1 after string "a"'),
        ("[axis]\nx = [1, 1.0]", "2:9 axis.x[1]: float 1.0 is listed twice"),
        ("[axis]\nx = [nan]", "2:6 axis.x[0]: must be finite, got nan"),
        ("[axis]\nx = [[1]]", "2:6 axis.x[0]: expected boolean, number or string, got list"),
        ("[axis]\nx = [{}]", "2:6 axis.x[0]: expected boolean, number or string, got table"),
        ("[axis]\nx = [1979-05-27]", "2:6 axis.x[0]: expected boolean, number or string, got date 1979-05-27"),
        ("[axis]\nx = [9999999999999999999]", "2:6 axis.x[0]: must be in -2^63 to 2^63-1"),
        ('[axis]\nx = ["${axis.x}"]', "2:6 axis.x[0]: an axis has plain values; expressions belong below [set]"),
        ('[axis]\nx = ["a\\u202eb"]', '2:6 axis.x[0]: has characters that cannot be printed: "a\\u202eb"'),
        ("[axis]\n'a.b' = [1]", 'axis."a.b": the name of an axis: use a name of [A-Za-z0-9_], 1 to 64 characters'),
        ("[axis]\n'é' = [1]", 'axis."\\xe9": the name of an axis: use a name of'),
        ("[axis]\ntask = ['a']", "2:1 axis.task: is no axis; write tasks = [...] at the top of the file"),
        ("[axis]\nseeds = [1]", "2:1 axis.seeds: is no axis; write seeds = ... at the top of the file"),
        ('zip = [["x"]]\n[axis]\nx = [1]', "1:8 zip[0]: a group needs two axes or more"),
        ('zip = [["x", "z"]]\n[axis]\nx = [1]\ny = [1]', "1:14 zip[0][1]: no axis named \"z\"; one of 'x', 'y'"),
        ('zip = [["x", "x"]]\n[axis]\nx = [1]', "1:14 zip[0][1]: axis 'x' is in a group already"),
        (
            'zip = [["x", "y"]]\n[axis]\nx = [1, 2]\ny = [1]',
            "1:8 zip[0]: axes that vary together need equally many values: x has 2, y has 1",
        ),
        ("[[exclude]]\nz = 1\n[axis]\nx = [1]", "2:5 exclude[0].z: no axis named \"z\"; one of 'x'"),
        ("[[exclude]]\nx = 2\n[axis]\nx = [1]", "2:5 exclude[0].x: axis 'x' has no value integer 2; it has '1'"),
        ("[[exclude]]\n[axis]\nx = [1]", "exclude[0]: names no axis"),
        ("[[exclude]]\nx = 1\n[[exclude]]\nx = 1\n[axis]\nx = [1, 2]", "3:1 exclude[1]: excludes no point"),
        ("[[exclude]]\nx = 1\n[axis]\nx = [1]", "exclude: excludes every point"),
    ],
)
def test_what_is_wrong_with_axes(text: str, message: str) -> None:
    found = [str(each).removeprefix("study.toml:").replace(": ", " ", 1) for each in axes_of(text).problems]
    assert any(message in each for each in found), found


def test_a_huge_product_is_refused_before_it_is_made() -> None:
    axes = "".join(f"x{index} = {[*range(64)]}\n" for index in range(10))
    (problem,) = axes_of(f"[axis]\n{axes}").problems
    assert problem.message == f"{64**10:,} points; limit {MAX_POINTS:,}"
