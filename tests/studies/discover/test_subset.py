"""The greedy subset against brute force; noise; no point twice."""

import math
from itertools import combinations

import numpy as np
import pytest

from composer.studies.discover.subset import greedy, noise, value, worth


def test_greedy_choice_is_near_the_best_subset_and_never_below_its_bound() -> None:
    ratios = []
    for number in range(60):
        rng = np.random.default_rng(number)
        vectors = rng.uniform(size=(10, 2))
        each = worth(rng.standard_normal((3, 10)), noise(vectors, 15, rng))
        for size in (2, 3):
            chosen, gains = greedy(each, size)
            best = max(value(each, subset) for subset in combinations(range(10), size))
            assert sum(gains) == pytest.approx(value(each, chosen))
            ratios.append(value(each, chosen) / best)
    assert min(ratios) >= 1 - 1 / math.e
    assert np.mean(ratios) > 0.99


def test_a_trap_for_greedy_choice_shows_that_it_is_greedy() -> None:
    """The point that is best alone overlaps with the pair that is best together: 0.75 of it is reached."""
    each = np.array([[2.0, 0.0, 1.1], [0.0, 2.0, 1.1]])
    chosen, _ = greedy(each, 2)
    assert chosen[0] == 2
    assert value(each, chosen) == pytest.approx(1.55)
    assert value(each, [0, 1]) == pytest.approx(2.0)


def test_the_value_is_submodular_and_monotone() -> None:
    rng = np.random.default_rng(3)
    each = worth(rng.standard_normal((2, 6)), rng.standard_normal((20, 6)))
    for small, large in (([], [1, 2]), ([1], [1, 2, 3]), ([4], [4, 5])):
        for added in (0,):
            gain = value(each, [*small, added]) - value(each, small)
            assert gain >= value(each, [*large, added]) - value(each, large) - 1e-12
            assert value(each, large) >= value(each, small)


def test_of_two_equal_effects_the_one_that_fails_apart_is_chosen() -> None:
    """Points 0 and 1 are neighbours, 2 is far away and slightly worse."""
    vectors = np.array([[0.0, 0.0], [0.02, 0.0], [1.0, 1.0]])
    rng = np.random.default_rng(0)
    each = worth(np.array([[2.0, 2.0, 1.8]]), noise(vectors, 400, rng))
    chosen, gains = greedy(each, 2)
    assert chosen[0] in (0, 1) and chosen[1] == 2
    assert gains[1] > 10 * (value(each, [0, 1]) - value(each, chosen[:1]))


def test_nothing_is_chosen_twice_where_nothing_adds() -> None:
    chosen, gains = greedy(np.zeros((4, 5)), 4)
    assert sorted(chosen) == [0, 1, 2, 3] and gains == [0, 0, 0, 0]
    assert len(greedy(np.ones((4, 2)), 9)[0]) == 2


def test_noise_has_the_declared_covariance() -> None:
    vectors = np.array([[0.0], [0.25], [0.5]])
    drawn = noise(vectors, 40_000, np.random.default_rng(1))
    expected = np.exp(-0.5 * (vectors - vectors.T) ** 2 / 0.25**2)
    assert np.cov(drawn.T) == pytest.approx(expected, abs=0.03)
