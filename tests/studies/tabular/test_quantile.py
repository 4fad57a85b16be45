"""Quantile experiment: by hand, QTD's expected and sampled steps, its fixed point, its error as theory has it; TD."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tabular_oracles import COIN, NOISES, drift, residual, sample_returns

from composer.studies.tabular import td
from composer.studies.tabular.chains import CHAINS, Chain, transitions, two_state
from composer.studies.tabular.distances import equally_likely, wasserstein
from composer.studies.tabular.noises import EXPONENTIAL, GAUSSIAN, NONE, STUDENT, Noise
from composer.studies.tabular.quantile import (
    StepSize,
    backup,
    fixed_point,
    levels,
    update,
)


def test_fixed_points_of_two_states_by_hand() -> None:
    """The median: theta = 1 + theta / 2. Quartiles: the lower is the reward of leaving at once, the upper again 2."""
    np.testing.assert_allclose(fixed_point(two_state(), 1)[0], [[2.0], [0.0]], atol=1e-9)
    np.testing.assert_allclose(fixed_point(two_state(), 2)[0], [[1.0, 2.0], [0.0, 0.0]], atol=1e-9)


@pytest.mark.parametrize("noise", [GAUSSIAN, EXPONENTIAL, STUDENT], ids=lambda noise: noise.name)
def test_without_a_future_they_are_the_quantiles_of_the_reward(noise: Noise) -> None:
    chain = Chain(np.ones((1, 1)), np.array([0.3]), 0.0, noise, 2.0)
    known = {"gaussian": stats.norm, "exponential": stats.expon, "student": stats.t}[noise.name]
    shape = {"gaussian": (), "exponential": (), "student": (2,)}[noise.name]
    shift = 0.3 - 2.0 * (noise is EXPONENTIAL)
    found, _ = fixed_point(chain, 9, 1e-10)
    np.testing.assert_allclose(found[0], shift + 2 * known.ppf(levels(9), *shape), atol=1e-8)


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
@pytest.mark.parametrize("name", CHAINS)
def test_a_fixed_point_is_left_by_no_sweep(name: str, noise: Noise) -> None:
    chain = replace(CHAINS[name](), noise=noise)
    found, _ = fixed_point(chain, 7, 1e-8)
    assert residual(chain, found) < 2e-8
    assert (np.diff(found) >= 0).all()
    if noise not in (NONE, COIN):  # With a density there is one quantile a level, and QTD stands still there.
        assert np.abs(drift(chain, found)).max() < 1e-8


def test_a_sweep_contracts_the_greatest_distance() -> None:
    rng = np.random.default_rng(0)
    for noise in (COIN, STUDENT):
        chain = replace(CHAINS["garnet"](), noise=noise)
        first, second = (np.sort(rng.normal(size=(chain.states, 6)), -1) for _ in range(2))
        before = np.abs(first - second).max()
        assert np.abs(backup(chain, first) - backup(chain, second)).max() <= chain.discount * before + 1e-9


def test_many_quantiles_come_near_sampled_returns() -> None:
    chain = replace(CHAINS["garnet"](), noise=GAUSSIAN, discount=0.7)
    returns = sample_returns(chain, np.random.default_rng(0), 4_000)
    found, _ = fixed_point(chain, 64, 1e-4)
    assert wasserstein(equally_likely(found), equally_likely(returns)).max() < 0.1 * returns.std(1).min()


def test_a_step_is_the_sum_written_out_and_no_longer_than_the_rate() -> None:
    quantiles = np.array([[[0.0, 1.0], [3.0, 5.0]]])
    learned = update(quantiles, np.array([[0.5, 1.0]]), np.array([[1, 0]]), 0.5, 0.2)
    # State 0: targets 2.0 and 3.0, above both. State 1: targets 1.0 and 1.5, below both.
    np.testing.assert_allclose(learned, [[[0.05, 1.15], [2.85, 4.95]]], rtol=1e-15)
    equal = update(quantiles, np.array([[-1.5, 1.0]]), np.array([[1, 0]]), 0.5, 0.2)
    np.testing.assert_allclose(equal[0, 0], [0.05, 1.05], rtol=1e-15)  # Targets 0 and 1: neither is below itself.
    huge = update(quantiles, np.array([[1e9, -1e9]]), np.array([[1, 0]]), 0.5, 0.2)
    np.testing.assert_allclose(np.abs(huge - quantiles), [[[0.05, 0.15], [0.15, 0.05]]], rtol=1e-12)


@pytest.mark.parametrize("noise", [NONE, COIN, STUDENT], ids=lambda noise: noise.name)
def test_the_mean_of_sampled_steps_is_the_expected_one(noise: Noise) -> None:
    chain = replace(CHAINS["garnet"](), noise=noise)
    quantiles = chain.values()[:, None] + np.linspace(-1, 1, 5)
    seen = transitions(chain, [0], 4_000)
    many = np.broadcast_to(quantiles, (4_000, *quantiles.shape))
    steps = update(many, seen.rewards[:, 0], seen.successors[:, 0], chain.discount, 1.0) - quantiles
    np.testing.assert_allclose(steps.mean(0), drift(chain, quantiles), atol=4.5 * 0.5 / np.sqrt(4_000))


def test_variance_at_a_constant_step_size_is_that_of_stochastic_approximation() -> None:
    """``a tau (1 - tau) / 2 f``, f the density at the quantile: linearised drift against the noise of one bit."""
    chain = Chain(np.ones((1, 1)), np.zeros(1), 0.0, GAUSSIAN)
    rate, runs, m = 0.02, 600, 5
    quantiles = np.tile(stats.norm.ppf(levels(m)), (runs, 1, 1))
    rng, zeros = np.random.default_rng(0), np.zeros((runs, 1), np.int64)
    for _ in range(1_200):
        quantiles = update(quantiles, chain.draw_rewards(rng, zeros), zeros, 0.0, rate)
    aim = stats.norm.ppf(levels(m))
    expected = rate * levels(m) * (1 - levels(m)) / 2 / stats.norm.pdf(aim)
    np.testing.assert_allclose(quantiles[:, 0].var(0), expected, rtol=4.5 * np.sqrt(2 / runs))
    np.testing.assert_allclose(quantiles[:, 0].mean(0), aim, atol=0.03)


@pytest.mark.parametrize("noise", [GAUSSIAN, EXPONENTIAL, STUDENT], ids=lambda noise: noise.name)
def test_qtd_reaches_its_fixed_point(noise: Noise) -> None:
    chain = replace(CHAINS["walk"](), noise=noise, discount=0.5)
    m, runs, steps, size = 6, 12, 6_000, StepSize(4.0, 0.75, 10.0)
    aim, _ = fixed_point(chain, m)
    quantiles = np.zeros((runs, chain.states, m))
    for step, (rewards, successors) in enumerate(zip(*transitions(chain, range(runs), steps), strict=True)):
        quantiles = update(quantiles, rewards, successors, chain.discount, size(step))
    slope = (1 - chain.discount) * _least_density(chain, aim)
    bound = np.sqrt(size(steps) / 4 / 2 / slope)
    assert np.abs(quantiles - aim).max() < 5 * bound
    assert np.abs(quantiles.mean(0) - aim).max() < 5 * bound / np.sqrt(runs)


def _least_density(chain: Chain, quantiles: np.ndarray) -> float:
    """Of the targets, at any quantile: the slope of their distribution function."""
    width, least = 1e-4, np.inf
    for x in range(chain.states):
        targets = chain.rewards[x] + chain.discount * quantiles
        apart = (quantiles[x][:, None, None] - targets) / chain.scale
        rise = chain.noise.below(apart + width) - chain.noise.below(apart - width)
        least = min(least, (rise.mean(-1) @ chain.transition[x] / (2 * width * chain.scale)).min())
    return float(least)


def test_td_steps_by_hand_and_reaches_the_values() -> None:
    learned = td.update(np.array([[1.0, 2.0]]), np.array([[0.5, 0.0]]), np.array([[1, 1]]), 0.5, 0.1)
    np.testing.assert_allclose(learned, [[1.05, 1.9]], rtol=1e-15)
    chain, size = CHAINS["garnet"](), StepSize(1.0, 0.9, 20.0)
    values = np.zeros((2, 4, chain.states))  # Two step sizes at once, one of them nothing.
    for step, (rewards, successors) in enumerate(zip(*transitions(chain, range(4), 4_000), strict=True)):
        rate = np.array([size(step), 0.0])[:, None, None]
        values = td.update(values, rewards, successors, chain.discount, rate)
    assert np.abs(values[0] - chain.values()).max() < 0.15
    assert (values[1] == 0).all()
