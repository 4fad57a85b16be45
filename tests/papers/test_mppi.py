"""MPPI against a slow search in NumPy, sequence by sequence: arXiv:2310.16828 and its released code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from composer.algorithms.mppi import MPPI
from composer.algorithms.mppi_search import Search, pair_of

S, E, H, A, Z, C = 2, 2, 3, 2, 4, 5
DECLARED = MPPI(samples=9, policy_samples=3, elites=4, iterations=3, temperature=0.7, min_std=0.05, max_std=1.5)
DISCOUNT = (0.9, 0.7)
Array = NDArray[np.float64]


def weights(*shape: int, seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


D, R, PI, Q = (
    weights(S, Z + A, Z, seed=1),
    weights(S, Z + A, seed=2),
    weights(S, Z, A, seed=3),
    weights(S, C, Z + A, seed=4),
)


class Toy:
    """A model with other numbers for each seed; every reward of a latent whose first entry is low is NaN."""

    def next(self, latent: Tensor, action: Tensor) -> Tensor:
        return torch.tanh(torch.cat([latent, action], -1) @ torch.from_numpy(D))

    def reward(self, latent: Tensor, action: Tensor) -> Tensor:
        found = torch.cat([latent, action], -1) @ torch.from_numpy(R)[:, :, None]
        return torch.where(latent[..., 0] < -0.98, torch.nan, found[..., 0])

    def policy(self, latent: Tensor, noise: Tensor) -> Tensor:
        return torch.tanh(latent @ torch.from_numpy(PI) + 0.5 * noise)

    def values(self, latent: Tensor, action: Tensor) -> Tensor:
        return torch.einsum("sbi,sci->scb", torch.cat([latent, action], -1), torch.from_numpy(Q))


def slow(s: int, z: Array, previous: Array, draws: dict[str, Array], explores: bool) -> tuple[Array, Array, int]:
    """One plan of one environment, as the released code writes it; and how many sequences had a value of NaN."""

    def value(plan: Array, last: Array, pair: Array) -> float:
        at, total = z, 0.0
        for t in range(H):
            both = np.concatenate([at, plan[t]])
            total += DISCOUNT[s] ** t * (math.nan if at[0] < -0.98 else float(both @ R[s]))
            at = np.tanh(both @ D[s])
        action = np.tanh(at @ PI[s] + 0.5 * last)
        both = np.concatenate([at, action])
        first, second = np.argsort(pair)[:2]
        return total + DISCOUNT[s] ** H * float(both @ Q[s, first] + both @ Q[s, second]) / 2

    fixed = []
    for index in range(DECLARED.policy_samples):
        at, plan = z, []
        for t in range(H):
            plan.append(np.tanh(at @ PI[s] + 0.5 * draws["policy"][t, index]))
            at = np.tanh(np.concatenate([at, plan[-1]]) @ D[s])
        fixed.append(np.stack(plan))
    mean, std = np.zeros((H, A)), np.full((H, A), DECLARED.max_std)
    mean[:-1] = previous[1:]
    lost = 0
    for i in range(DECLARED.iterations):
        plans = [*fixed, *(np.clip(mean + std * noise, -1, 1) for noise in draws["samples"][i])]
        found = [value(plan, draws["last"][i, n], draws["pair"][i]) for n, plan in enumerate(plans)]
        lost += sum(math.isnan(each) for each in found)
        values = np.nan_to_num(np.array(found))
        order = np.argsort(-values)[: DECLARED.elites]
        elites, score = (
            np.stack([plans[n] for n in order]),
            np.exp(DECLARED.temperature * (values[order] - values.max())),
        )
        score /= score.sum()
        mean = (score[:, None, None] * elites).sum(0)
        std = np.clip(np.sqrt((score[:, None, None] * (elites - mean) ** 2).sum(0)), DECLARED.min_std, DECLARED.max_std)
    uniform = 0.5 * (1 + math.erf(float(draws["elite"]) / math.sqrt(2)))
    action = elites[int(np.searchsorted(np.cumsum(score), uniform))][0]
    if explores:
        action = action + std[0] * draws["action"]
    return np.clip(action, -1, 1), mean, lost


@pytest.mark.parametrize("explores", [True, False])
def test_a_plan_is_that_of_a_slow_search(explores: bool) -> None:
    """Policy sequences, warm start, elites, weights, bounds, the drawn elite, values that are not numbers."""
    search = Search(DECLARED, Toy(), torch.tensor(DISCOUNT, dtype=torch.float64), H, A, C)
    random = np.random.default_rng(7)
    latent, previous = np.tanh(random.normal(size=(S, E, Z))), random.uniform(-1, 1, (S, E, H, A))
    noise = random.normal(size=(S, E, search.draws))
    action, mean = search.plan(*map(torch.from_numpy, (latent, previous, noise)), explores)
    lost = 0
    for s in range(S):
        for e in range(E):
            parts = {name: value[s, e].numpy() for name, value in search._split(torch.from_numpy(noise)).items()}
            wanted, plan, nans = slow(s, latent[s, e], previous[s, e], parts, explores)
            np.testing.assert_allclose(action[s, e], wanted, atol=1e-12)
            np.testing.assert_allclose(mean[s, e], plan, atol=1e-12)
            lost += nans
    assert lost > 3


def test_elites_are_drawn_by_their_weights_and_pairs_uniformly() -> None:
    search = Search(DECLARED, Toy(), torch.tensor(DISCOUNT, dtype=torch.float64), H, A, C)
    noise = torch.randn(S, 1, search.draws, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    many = noise.repeat(1, 1_000, 1)
    many[..., -A - 1] = torch.randn(S, 1_000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    none = torch.zeros(S, 1_000, H, A, dtype=torch.float64)
    action, mean = search.plan(torch.zeros(S, 1_000, Z, dtype=torch.float64), none, many, explores=False)
    assert len(action[0].unique(dim=0)) == DECLARED.elites
    torch.testing.assert_close(action.mean(1), mean[:, 0, 0], atol=0.06, rtol=0)
    pairs = pair_of(torch.randn(20_000, C, generator=torch.Generator().manual_seed(2))).sort(-1).values
    shares = pairs.unique(dim=0, return_counts=True)[1] / 20_000
    assert len(shares) == 10 and (shares - 0.1).abs().max() < 0.01


def test_without_sequences_of_the_policy_all_are_drawn() -> None:
    declared = DECLARED.model_copy(update={"policy_samples": 0})
    search = Search(declared, Toy(), torch.tensor(DISCOUNT, dtype=torch.float64), H, A, C)
    noise = torch.randn(S, E, search.draws, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    nothing = torch.zeros(S, E, H, A, dtype=torch.float64)
    action, _ = search.plan(torch.zeros(S, E, Z, dtype=torch.float64), nothing, noise, explores=True)
    assert action.shape == (S, E, A) and action.abs().max() <= 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"samples": 32, "elites": 64}, "32 samples are fewer than 24 of the policy or 64 elites"),
        ({"min_std": 3.0}, "'min_std' .3.0. must not be above 'max_std' .2.0."),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MPPI(**wrong)
