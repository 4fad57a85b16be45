"""The Gaussian process against closed forms, information against regression, batches that do not repeat themselves."""

from itertools import combinations

import numpy as np
import pytest

from composer.studies.discover.acquisition import choose, information, subsets
from composer.studies.discover.subset import noise
from composer.studies.discover.surrogate import Posterior, posterior

LINE = np.linspace(0, 1, 11)[:, None]


def covariance(length: float = 0.2) -> np.ndarray:
    return np.exp(-0.5 * (LINE - LINE.T) ** 2 / length**2)


def test_information_is_the_fall_of_entropy_by_regression_on_the_subset() -> None:
    prior, sigma = covariance(), 0.1
    seen = [[0, 5], [3]]
    expected = np.zeros(11)
    for subset in seen:
        k = prior[np.ix_(subset, subset)]
        after = prior - prior[:, subset] @ np.linalg.inv(k) @ prior[subset]
        before, rest = prior.diagonal() + sigma, np.maximum(after.diagonal(), 0) + sigma
        expected += 0.25 * np.log(before / rest)
    found = information(prior, sigma, seen)
    assert found == pytest.approx(expected, abs=1e-6)
    assert found.argmax() in (0, 3, 5)


def test_information_is_what_simulation_gives() -> None:
    """The mutual information of a noisy run at a point and the scores of the subset, from 200,000 draws."""
    prior, sigma, rng = covariance(), 0.3, np.random.default_rng(0)
    functions = rng.multivariate_normal(np.zeros(11), prior + 1e-9 * np.eye(11), 200_000, method="eigh")
    run = functions[:, 4] + np.sqrt(sigma) * rng.standard_normal(200_000)
    correlation = np.corrcoef(run, functions[:, 6])[0, 1]
    assert information(prior, sigma, [[6]])[4] == pytest.approx(-0.5 * np.log1p(-(correlation**2)), rel=0.02)


def test_a_batch_says_together_what_its_gains_promise_and_repeats_little() -> None:
    """The gains add up to the information of all its runs together, which is near the best of all pairs."""
    prior, sigma = covariance(), 0.2
    seen, trained = [[2]] * 6 + [[8]] * 5, [2, 8]

    def together(points: list[int]) -> float:
        total = 0.0
        for subset in seen:
            after = prior - prior[:, subset] @ np.linalg.inv(prior[np.ix_(subset, subset)]) @ prior[subset]
            both = [each[np.ix_(points, points)] + sigma * np.eye(len(points)) for each in (prior, after)]
            total += 0.5 * (np.linalg.slogdet(both[0])[1] - np.linalg.slogdet(both[1])[1]) / len(seen)
        return float(total)

    found = choose(Posterior(np.zeros(11), prior, sigma, 0.0, 1.0), seen, 2, trained)
    assert sum(found.gains) == pytest.approx(together(found.points), rel=1e-5)
    free = [index for index in range(11) if index not in trained]
    best = max(together(list(pair)) for pair in combinations(free, 2))
    assert together(found.points) > 0.97 * best
    everything = choose(Posterior(np.zeros(11), prior, sigma, 0.0, 1.0), seen, 99, trained)
    assert sorted(everything.points) == free


def test_more_seeds_make_a_score_count_more() -> None:
    many, few = [np.array([x + 0.5, x - 0.5] * 20) for x in (0.0, 3.0, 6.0)], np.array([9.5, 8.5])
    shaky = posterior(LINE, [0, 4, 7, 10], [*many, few], 0)
    steady = posterior(LINE, [0, 4, 7, 10], [*many, np.repeat(few, 20)], 0)
    assert shaky.covariance[10, 10] > 3 * steady.covariance[10, 10]
    assert shaky.covariance[4, 4] < shaky.covariance[10, 10]


def test_the_process_returns_to_what_it_was_told_and_is_unsure_elsewhere() -> None:
    truth = np.sin(3 * LINE[:, 0])
    trained = [0, 2, 4, 6]
    scores = [truth[index] + 0.001 * np.array([-1.0, 1.0]) for index in trained]
    found = posterior(LINE, trained, scores, 0)
    mean = found.mean * found.spread + found.centre
    assert mean[trained] == pytest.approx(truth[trained], abs=0.02)
    assert mean[:7] == pytest.approx(truth[:7], abs=0.1)
    spread = found.covariance.diagonal()
    assert spread[:7].max() < 0.02 < spread[9]
    assert spread[7] < spread[8] < spread[9] < spread[10]
    sample = found.samples(4000, np.random.default_rng(0))
    assert sample.mean(0) == pytest.approx(found.mean, abs=0.05)


def test_single_seeds_have_their_noise_fitted() -> None:
    rng = np.random.default_rng(4)
    vectors = np.linspace(0, 1, 60)[:, None]
    scores = [np.array([x + 0.3 * rng.standard_normal()]) for x in vectors[:, 0]]
    found = posterior(vectors, range(60), scores, 0)
    assert found.noise * found.spread**2 == pytest.approx(0.09, rel=0.5)


def test_subsets_follow_the_functions() -> None:
    functions = np.zeros((2, 11))
    functions[0, [1, 9]] = functions[1, [4]] = 20
    found = subsets(functions, noise(LINE, 30, np.random.default_rng(0)), 2)
    assert set(found[0]) == {1, 9} and found[1][0] == 4
