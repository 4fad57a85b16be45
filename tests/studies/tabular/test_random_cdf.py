"""Random distribution functions: by hand, against a dense solve, against simulation and against returns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tabular_oracles import NOISES

from composer.studies.tabular import categorical, random_cdf
from composer.studies.tabular.categorical import Atoms
from composer.studies.tabular.chains import CHAINS, Chain, garnet, two_state
from composer.studies.tabular.noises import Floats

THREE = Atoms(0.0, 2.0, 3)


def cdf(chain: Chain, atoms: Atoms) -> Floats:
    return categorical.fixed_point(chain, atoms).cumsum(1)[:, :-1]


def test_two_states_by_hand() -> None:
    """U = Phi_2 is 1 with probability 0.4, else U'/2: E U = 4/7 and E U^2 = 0.4 / 0.85."""
    found = random_cdf.moments(two_state(), THREE)
    np.testing.assert_allclose(found.mean, [[0, 4 / 7], [1, 1]], atol=1e-14)
    np.testing.assert_allclose(found.covariance, [[[0, 0], [0, 120 / 833]], np.zeros((2, 2))], atol=1e-13)
    np.testing.assert_allclose(found.local, [[[0, 0], [0, 6 / 49]], np.zeros((2, 2))], atol=1e-14)


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
@pytest.mark.parametrize("name", CHAINS)
def test_covariances_are_those_of_a_dense_solve(name: str, noise: object) -> None:
    """The second moments of ``(Phi, 1)`` solve one linear system; their covariance is compared."""
    chain = replace(CHAINS[name](), noise=noise, scale=0.3)
    atoms = Atoms.covering(chain, 5)
    blocks, offsets = categorical.cdf_operator(chain, atoms)
    n, k = offsets.shape
    whole = np.zeros((n, k + 1, k + 1))
    whole[:, :k, :k], whole[:, :k, k], whole[:, k, k] = blocks, offsets, 1
    steps = np.einsum("xy,xik,xjl->xijykl", chain.transition, whole, whole).reshape(n, (k + 1) ** 2, n, (k + 1) ** 2)
    last = (k + 1) ** 2 - 1
    keep = np.arange(last)
    inner = steps[:, :last][..., keep].reshape(n * last, n * last)
    solved = np.linalg.solve(np.eye(n * last) - inner, steps[:, :last, :, last].sum(2).ravel()).reshape(n, last)
    second = np.append(solved, np.ones((n, 1)), 1).reshape(n, k + 1, k + 1)
    mean = second[:, :k, k]
    found = random_cdf.moments(chain, atoms)
    np.testing.assert_allclose(found.mean, mean, atol=1e-10)
    np.testing.assert_allclose(found.covariance, second[:, :k, :k] - mean[:, :, None] * mean[:, None], atol=1e-10)
    total, local = (random_cdf.variation(each, atoms) for each in (found.covariance, found.local))
    assert (total <= random_cdf.bound(chain, local) + 1e-12).all()


def test_on_fine_atoms_the_variation_is_half_the_distance_of_two_returns() -> None:
    """Returns 2 (1 - 2^-T) fall on dyadic atoms, so that nothing is spread, and the bound is reached."""
    chain, atoms = two_state(), Atoms(0.0, 2.0, 257)
    found = random_cdf.moments(chain, atoms)
    lengths = np.arange(1, 60)
    chances, returns = 0.4 * 0.6 ** (lengths - 1), 2 * (1 - 0.5**lengths)
    half = 0.5 * (np.abs(returns - returns[:, None]) * chances * chances[:, None]).sum()
    total, local = (random_cdf.variation(each, atoms)[0] for each in (found.covariance, found.local))
    assert total == pytest.approx(half, abs=1e-4)
    assert random_cdf.bound(chain, np.array([local, 0.0]))[0] == pytest.approx(total, abs=1e-4)


def test_spread_of_the_estimate_by_hand_and_by_differences() -> None:
    """With probability p of staying F_2 = (1 - p) / (1 - p/2), whose slope at 0.6 is -0.5 / 0.49."""
    by_hand = 0.24 * (0.5 / 0.49) ** 2
    np.testing.assert_allclose(random_cdf.estimate_variance(two_state(), THREE), [[0, by_hand], [0, 0]], atol=1e-14)
    chain, step = garnet(4, 2, seed=3), 1e-6
    atoms = Atoms.covering(chain, 6)
    variance = np.zeros((4, 5))
    for x in range(4):
        for y in range(4):
            moved = chain.transition.copy()
            moved[x] += step * (np.eye(4)[y] - chain.transition[x])
            slope = (cdf(replace(chain, transition=moved), atoms) - cdf(chain, atoms)) / step
            variance += chain.transition[x, y] * slope**2
    np.testing.assert_allclose(random_cdf.estimate_variance(chain, atoms), variance, rtol=1e-4, atol=1e-9)


def agrees(chain: Chain, atoms: Atoms, found: Floats) -> None:
    """Simulated means and covariances are within five standard errors of the solved ones."""
    solved, count = random_cdf.moments(chain, atoms), found.shape[1]
    away = found - solved.mean[:, None]
    for x in range(chain.states):
        error = np.sqrt(solved.covariance[x].diagonal() / count) + 1e-6
        assert (np.abs(away[x].mean(0)) < 5 * error).all()
        products = away[x].T @ away[x] / count
        fourth = np.square(away[x]).T @ np.square(away[x]) / count
        error = np.sqrt((fourth - products**2).clip(0) / count) + 1e-6
        assert (np.abs(products - solved.covariance[x]) < 5 * error).all()


def test_simulation_agrees() -> None:
    chain = replace(garnet(4, 2, seed=1, discount=0.7), noise=NOISES["coin"], scale=0.2)
    atoms = Atoms.covering(chain, 7)
    agrees(chain, atoms, random_cdf.simulate(chain, atoms, np.random.default_rng(0), 4_000))


@pytest.mark.slow
def test_a_million_trajectories_agree() -> None:
    """Takes a second or two: 10^6 random distribution functions, half from each state, and as many returns."""
    chain = Chain(np.array([[0.3, 0.7], [0.8, 0.2]]), np.array([1.0, 0.0]), 0.5)
    atoms, rng = Atoms.covering(chain, 5), np.random.default_rng(0)
    drawn = [random_cdf.simulate(chain, atoms, rng, 100_000, 1e-3) for _ in range(5)]
    agrees(chain, atoms, np.concatenate(drawn, 1))
    fine = Atoms.covering(chain, 257)
    returns = chain.returns(rng, 500_000, chain.horizon(1e-6))
    halves = np.abs(returns[:, ::2] - returns[:, 1::2]) / 2
    solved = random_cdf.variation(random_cdf.moments(chain, fine).covariance, fine)
    error = halves.std(1) / np.sqrt(halves.shape[1])
    assert (np.abs(halves.mean(1) - solved) < 5 * error + fine.spacing / 4).all()
