"""Categorical latents and returns of DreamerV3, arXiv:2301.04104, against loops and closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from composer.algorithms.losses.latents import balanced_kl, categorical_kl, drawn_one_hot, lambda_returns, unimix


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_probabilities_hold_a_share_of_the_uniform_distribution() -> None:
    logits = random(2, 3, 4)
    found = unimix(logits, 0.01)
    torch.testing.assert_close(found, 0.99 * logits.softmax(-1) + 0.0025)
    assert unimix(torch.tensor([[0.0, 1e9]]), 0.01)[0].tolist() == pytest.approx([0.005, 0.995])


def test_draws_follow_the_distribution_function_and_their_gradient_is_that_of_probabilities() -> None:
    chances = torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64).repeat(5, 1).requires_grad_()
    drawn = drawn_one_hot(chances, torch.tensor([0.0, 0.19, 0.21, 0.69, 0.71], dtype=torch.float64))
    assert drawn.argmax(-1).tolist() == [0, 0, 1, 1, 2] and drawn.sum(-1).tolist() == [1.0] * 5
    weights = random(5, 3)
    (drawn * weights).sum().backward()
    assert chances.grad is not None
    torch.testing.assert_close(chances.grad, weights)
    uniform = torch.rand(40_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    share = drawn_one_hot(chances.detach()[:1].expand(40_000, -1), uniform).mean(0)
    assert share.tolist() == pytest.approx([0.2, 0.5, 0.3], abs=0.01)


def test_kl_is_summed_over_variables_and_the_free_nats_follow_the_sum() -> None:
    """The bound lies between sums; a rule for each variable alone would cut other entries."""
    first, second = random(6, 2, 3).softmax(-1), random(6, 2, 3, seed=1).mul(2).softmax(-1)
    slow = [
        sum(p * math.log(p / q) for v in range(2) for p, q in zip(a[v].tolist(), b[v].tolist(), strict=True))
        for a, b in zip(first, second, strict=True)
    ]
    assert categorical_kl(first, second).tolist() == pytest.approx(slow)
    bound = sorted(slow)[2] + 1e-9
    posterior, prior = first.clone().requires_grad_(), second.clone().requires_grad_()
    dynamics, representation = balanced_kl(posterior, prior, bound)
    assert dynamics.tolist() == representation.tolist() == pytest.approx([max(bound, value) for value in slow])
    (of_prior,) = torch.autograd.grad(dynamics.sum(), prior, retain_graph=True)
    (of_posterior,) = torch.autograd.grad(representation.sum(), posterior, retain_graph=True)
    counts = torch.tensor([value > bound for value in slow], dtype=torch.float64)[:, None, None]
    torch.testing.assert_close(of_prior, -counts * first / second)
    torch.testing.assert_close(of_posterior, counts * ((first / second).log() + 1))
    assert torch.autograd.grad(dynamics.sum(), posterior, allow_unused=True)[0] is None
    assert torch.autograd.grad(representation.sum(), prior, allow_unused=True)[0] is None


def test_lambda_returns_are_the_mixture_of_returns_of_all_lengths() -> None:
    """``sum_n weight_n R^(n)``, each return written out; cut where another episode begins, without its rewards."""
    steps, decay = 5, 0.8
    reward, value = random(steps + 1).tolist(), random(steps + 1, seed=1).tolist()
    live = [0.9, 0.97, 0.0, 0.9, 0.95, 0.9]
    goes_on = [1.0, 1.0, 1.0, 0.0, 1.0, 1.0]

    def return_of(start: int) -> float:
        mixed, weight = 0.0, 1.0
        discount, gathered = 1.0, 0.0
        for time in range(start + 1, steps + 1):
            gathered += discount * reward[time]
            discount *= live[time]
            stays = decay * goes_on[time] if time < steps else 0.0
            mixed += weight * (1 - stays) * (gathered + discount * value[time])
            weight *= stays
        return mixed

    given = [torch.tensor(each, dtype=torch.float64) for each in (reward, live, goes_on, value)]
    assert lambda_returns(*given, decay).tolist() == pytest.approx([return_of(start) for start in range(steps)])
