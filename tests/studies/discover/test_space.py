"""Points as vectors, and designs that fill the space."""

import math
from itertools import product

import numpy as np
import pytest

from composer.studies.discover.space import features, space_filling
from composer.studies.study.points import Point


def points(**axes: list[object]) -> list[Point]:
    return [Point("x", dict(zip(axes, each, strict=True))) for each in product(*axes.values())]  # type: ignore[arg-type]


def test_numbers_that_span_a_decade_count_by_their_logarithm() -> None:
    assert features(points(rate=[1e-4, 1e-3, 1e-2])) == pytest.approx(np.array([[0.0], [0.5], [1.0]]))
    assert features(points(width=[64, 128, 320])) == pytest.approx(np.array([[0.0], [0.25], [1.0]]))
    assert features(points(shift=[-1, 0, 99])) == pytest.approx(np.array([[0.0], [0.01], [1.0]]))


def test_words_are_as_far_from_each_other_as_the_ends_of_an_axis() -> None:
    found = features(points(optimizer=["adam", "sam", "upgd"], resets=[False, True], task=["one"]))
    assert found.shape == (6, 4)
    away = np.linalg.norm(found[:, None] - found[None], axis=-1)
    assert away[0, 1] == pytest.approx(1)
    assert away[0, 2] == away[0, 4] == away[2, 4] == pytest.approx(1)
    assert away[0, 3] == pytest.approx(math.sqrt(2))


def test_a_design_begins_with_the_first_point_and_spreads_over_the_ends() -> None:
    found = features(points(a=[0, 1, 2, 3, 4], b=[0, 1, 2, 3, 4]))
    chosen = space_filling(found, 5, [], np.random.default_rng(0))
    assert chosen[:2] == [0, 24]
    assert set(chosen[:4]) == {0, 4, 20, 24}
    assert chosen[4] == 12
    assert space_filling(found, 2, [0, 24], np.random.default_rng(1)) in ([4, 20], [20, 4])


def test_a_design_repeats_nothing_and_ends_with_the_points() -> None:
    found = features(points(a=[0, 1, 2]))
    assert sorted(space_filling(found, 9, [1], np.random.default_rng(0))) == [0, 2]
