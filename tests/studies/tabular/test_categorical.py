"""Categorical experiment: by hand, DCFP against iterated dynamic programming and slow sums, categorical TD."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tabular_oracles import COIN, NOISES, cramer

from composer.studies.tabular.categorical import Atoms, dynamic_programming, fixed_point, project, update
from composer.studies.tabular.chains import CHAINS, Chain, transitions, two_state
from composer.studies.tabular.distances import equally_likely, wasserstein
from composer.studies.tabular.noises import EXPONENTIAL, NONE, STUDENT
from composer.studies.tabular.quantile import StepSize


def test_projection_keeps_mass_and_unclipped_means_and_shares_by_distance() -> None:
    atoms = Atoms(-1.0, 3.0, 5)
    np.testing.assert_array_equal(project(np.array([0.25]), np.ones(1), atoms), [0, 0.75, 0.25, 0, 0])
    np.testing.assert_array_equal(project(np.array([-7.0, 1.0, 9.0]), np.full(3, 1 / 3), atoms) * 3, [1, 0, 1, 0, 1])
    rng = np.random.default_rng(0)
    points, chances = rng.uniform(-1, 3, (4, 9)), rng.dirichlet(np.ones(9), 4)
    shares = project(points, chances, atoms)
    np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-14)
    np.testing.assert_allclose(shares @ atoms.points, (points * chances).sum(-1), rtol=1e-14)


def test_fixed_point_of_two_states_by_hand() -> None:
    """Atoms 0, 1, 2: from 1 the way back leads to 1.5, so p_1 = 0.4 + 0.3 p_1 and p_2 = 1 - p_1."""
    found = fixed_point(two_state(), Atoms(0.0, 2.0, 3))
    np.testing.assert_allclose(found, [[0, 4 / 7, 3 / 7], [1, 0, 0]], atol=1e-15)


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
@pytest.mark.parametrize("name", CHAINS)
def test_direct_equals_iterated(name: str, noise: object) -> None:
    for discount in (0.5, 0.95):
        chain = replace(CHAINS[name](), noise=noise, discount=discount, scale=0.7)
        for count in (2, 11, 40):
            atoms = Atoms.covering(chain, count)
            iterated, _ = dynamic_programming(chain, atoms, 1e-14)
            direct = fixed_point(chain, atoms)
            np.testing.assert_allclose(direct, iterated, rtol=0, atol=1e-10)
            if noise in (NONE, COIN):
                np.testing.assert_allclose(direct @ atoms.points, chain.values(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("ends", [(-5.0, 20.0), (1.0, 4.0)], ids=["covering", "clipping"])
def test_the_fixed_point_is_one_of_backup_and_projection_written_out(ends: tuple[float, float]) -> None:
    chain = replace(CHAINS["garnet"](), noise=COIN, scale=0.3)
    atoms = Atoms(*ends, 23)
    found = fixed_point(chain, atoms)
    for x in range(chain.states):
        again = np.zeros(23)
        for y in range(chain.states):
            for coin in (-0.3, 0.3):
                moved = chain.rewards[x] + coin + chain.discount * atoms.points
                again += 0.5 * chain.transition[x, y] * project(moved, found[y], atoms)
        np.testing.assert_allclose(again, found[x], rtol=0, atol=1e-12)


@pytest.mark.parametrize("noise", [EXPONENTIAL, STUDENT], ids=lambda noise: noise.name)
def test_one_backup_of_smooth_noise_is_the_projection_of_draws(noise: object) -> None:
    """A state whose return is one reward: clipped at both ends."""
    chain = Chain(np.ones((1, 1)), np.array([0.4]), 0.0, noise, 0.8)
    atoms = Atoms(-1.0, 2.0, 7)
    draws = chain.draw_rewards(np.random.default_rng(0), np.zeros(40_000, np.int64))
    sampled = project(draws, np.full(40_000, 1 / 40_000), atoms)
    np.testing.assert_allclose(fixed_point(chain, atoms)[0], sampled, atol=4.5 * 0.5 / 200)


def test_fair_coins_at_discount_one_half_give_a_uniform_return() -> None:
    """The sum of fair bits 2^-k is uniform on [0, 2]; spreading adds d^2 / 8 to its variance at d spacing."""
    chain = Chain(np.ones((1, 1)), np.array([0.5]), 0.5, COIN, 0.5)
    atoms = Atoms.covering(chain, 65)
    assert (atoms.low, atoms.high) == (0, 2)
    uniform = equally_likely((np.arange(20_000) + 0.5) / 10_000)
    found = atoms.distribution(fixed_point(chain, atoms)[0])
    assert wasserstein(found, uniform) < atoms.spacing / 2
    variance = found.probabilities @ found.points**2 - (found.probabilities @ found.points) ** 2
    # Of points halfway between atoms, every other one after halving, d^2 / 4; and the sum of 4^-k is 4/3.
    assert variance == pytest.approx(1 / 3 + atoms.spacing**2 / 8 * 4 / 3, rel=1e-9)


def test_a_sweep_contracts_the_cramer_distance() -> None:
    chain = CHAINS["garnet"]()
    atoms = Atoms.covering(chain, 41)
    aim = atoms.distribution(fixed_point(chain, atoms))
    far = [
        cramer(atoms.distribution(dynamic_programming(chain, atoms, 0.0, limit)[0]), aim).max() for limit in range(1, 9)
    ]
    assert (np.divide(far[1:], far[:-1]) <= np.sqrt(chain.discount) + 1e-9).all()
    assert dynamic_programming(chain, atoms, 0.0, 8)[1] == 8


def test_a_td_step_is_a_step_to_the_projected_target() -> None:
    rng = np.random.default_rng(0)
    for low, high in ((-9.0, 12.0), (-0.5, 1.5)):  # The second clips on both sides.
        atoms = Atoms(low, high, 17)
        probabilities = rng.dirichlet(np.ones(17), (3, 4))
        rewards, successors = rng.normal(size=(3, 4)), rng.integers(4, size=(3, 4))
        learned = update(probabilities.cumsum(-1), rewards, successors, 0.7, atoms, 0.25)
        after = np.stack([probabilities[run][successors[run]] for run in range(3)])
        target = project(rewards[..., None] + 0.7 * atoms.points, after, atoms)
        expected = 0.75 * probabilities + 0.25 * target
        np.testing.assert_allclose(learned, expected.cumsum(-1), rtol=0, atol=1e-13)


def test_categorical_td_reaches_its_fixed_point() -> None:
    chain = replace(CHAINS["two-state"](), noise=COIN, scale=0.5)
    atoms = Atoms.covering(chain, 21)
    size = StepSize(1.0, 0.8, 10.0)
    cdf = np.broadcast_to(np.arange(1, 22) / 21, (8, 2, 21))
    for step, (rewards, successors) in enumerate(zip(*transitions(chain, range(8), 4_000), strict=True)):
        cdf = update(cdf, rewards, successors, chain.discount, atoms, size(step))
    aim = fixed_point(chain, atoms).cumsum(-1)
    # F is a mean of targets in [0, 1] of variance v <= 1/4; at step size a its own variance is a v / 2 (1 - discount).
    bound = np.sqrt(size(4_000) / 4 / 2 / (1 - chain.discount))
    assert np.abs(cdf - aim).max() < 4 * bound
    assert np.abs(cdf.mean(0) - aim).max() < 4 * bound / np.sqrt(8)


@pytest.mark.parametrize("wrong", [(0.0, 1.0, 1), (1.0, 1.0, 5)])
def test_what_are_no_atoms_is_refused(wrong: tuple[float, float, int]) -> None:
    with pytest.raises(ValueError, match="two or more and rising ends"):
        Atoms(*wrong)
