"""Chains against hand-made sums and sampled returns; noises against numerical integration and scipy's distributions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats
from tabular_oracles import COIN, NOISES, sample_returns

from composer.studies.tabular.chains import CHAINS, Chain, transitions, two_state
from composer.studies.tabular.noises import EXPONENTIAL, GAUSSIAN, STUDENT, Noise, Smooth

DISTRIBUTIONS = {"gaussian": stats.norm(), "exponential": stats.expon(loc=-1), "student": stats.t(2)}


@pytest.mark.parametrize("noise", [GAUSSIAN, EXPONENTIAL, STUDENT], ids=lambda noise: noise.name)
def test_a_smooth_noise_is_what_scipy_calls_it(noise: Smooth) -> None:
    known, x = DISTRIBUTIONS[noise.name], np.array([-3.0, -1.0, -0.2, 0.7, 4.0])
    np.testing.assert_allclose(noise.below(x), known.cdf(x), atol=1e-12)
    level = np.array([0.01, 0.3, 0.5, 0.99])
    np.testing.assert_allclose(noise.quantile(level), known.ppf(level), rtol=1e-9, atol=1e-12)
    for c in x:
        tail, _ = integrate.quad(known.sf, c, np.inf)
        assert noise.excess(np.array(c)) == pytest.approx(tail, rel=1e-7)
    assert noise.excess(np.array(-1e6)) - 1e6 == pytest.approx(0, abs=1e-5)  # The mean is zero.
    draws = noise.draw(np.random.default_rng(0), (20_000,))
    assert stats.kstest(draws, known.cdf).pvalue > 0.01


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_a_ramp_is_the_mean_of_clipped_draws(noise: Noise) -> None:
    draws = noise.draw(np.random.default_rng(1), (40_000,))
    for edge in (-1.3, 0.2, 0.5, 2.0):
        expected = np.clip((edge - draws) / 0.8, 0, 1).mean()
        assert noise.ramp(np.array(edge), 0.8) == pytest.approx(expected, abs=0.01)


def test_values_of_two_states_by_hand() -> None:
    """V = 1 + 0.5 * 0.6 V."""
    np.testing.assert_allclose(two_state().values(), [1 / 0.7, 0.0], rtol=1e-15)


@pytest.mark.parametrize("make", CHAINS.values(), ids=CHAINS)
def test_sampled_returns_have_the_exact_mean_and_lie_within_the_bounds(make: Callable[[], Chain]) -> None:
    chain = replace(make(), noise=COIN, scale=0.5)
    returns = sample_returns(chain, np.random.default_rng(2), 2_000)
    error = returns.std(1) / np.sqrt(2_000)
    assert (np.abs(returns.mean(1) - chain.values()) < 4.5 * error).all()
    low, high = chain.bounds()
    assert low <= returns.min() and returns.max() <= high


def test_a_run_is_the_same_whatever_runs_beside_it() -> None:
    chain = replace(CHAINS["garnet"](), noise=GAUSSIAN)
    alone, beside = transitions(chain, [7], 20), transitions(chain, [3, 7], 20)
    np.testing.assert_array_equal(alone.rewards[:, 0], beside.rewards[:, 1])
    np.testing.assert_array_equal(alone.successors[:, 0], beside.successors[:, 1])


def test_a_plug_in_chain_has_the_frequencies_seen() -> None:
    chain = CHAINS["garnet"]()
    seen = transitions(chain, [0], 4_000).successors[:, 0]
    plugged = chain.plug_in(seen)
    assert plugged.transition[3, seen[0, 3]] == np.mean(seen[:, 3] == seen[0, 3])
    assert (plugged.transition[chain.transition == 0] == 0).all()
    np.testing.assert_allclose(plugged.transition, chain.transition, atol=4.5 * 0.5 / np.sqrt(4_000))


@pytest.mark.parametrize(
    ("transition", "discount", "wrong"),
    [
        ([[0.5, 0.4], [0, 1]], 0.9, "sum to one"),
        ([[1.0]], 0.9, r"need transitions \[2, 2\]"),
        (np.eye(2), 1.0, "discount"),
    ],
)
def test_what_is_no_chain_is_refused(transition: object, discount: float, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        Chain(np.array(transition), np.zeros(2), discount)


def test_bounds_of_unbounded_noise_are_four_deviations_of_the_return() -> None:
    chain = Chain(np.ones((1, 1)), np.array([2.0]), 0.6, GAUSSIAN, 3.0)
    np.testing.assert_allclose(chain.bounds(), [5 - 4 * 3 / 0.8, 5 + 4 * 3 / 0.8], rtol=1e-12)
