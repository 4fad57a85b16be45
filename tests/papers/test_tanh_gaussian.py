"""The tanh-squashed Gaussian against torch's transformed distribution, its integral, and its asymptotes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution

from composer.algorithms.losses.tanh_gaussian import log_tanh_slope, mode, sample


def unit(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_density_and_gradients_are_those_of_the_transformed_distribution() -> None:
    mean = unit(64, 6, seed=0).requires_grad_()
    log_std = (0.5 * unit(64, 6, seed=1) - 1).requires_grad_()
    noise = unit(64, 6, seed=2)
    action, log_prob = sample(mean, log_std, noise)
    pre_tanh = mean + log_std.exp() * noise
    reference = TransformedDistribution(Independent(Normal(mean, log_std.exp()), 1), [TanhTransform(cache_size=1)])
    # The cache keeps the pre-image, so that the reference does not invert a rounded tanh.
    expected = reference.log_prob(reference.transforms[0](pre_tanh))
    torch.testing.assert_close(action, torch.tanh(pre_tanh))
    assert log_prob.shape == (64,)
    torch.testing.assert_close(log_prob, expected, rtol=0, atol=1e-7)
    for leaf in (mean, log_std):
        (got,) = torch.autograd.grad(log_prob.sum(), leaf, retain_graph=True)
        (want,) = torch.autograd.grad(expected.sum(), leaf, retain_graph=True)
        torch.testing.assert_close(got, want, rtol=0, atol=1e-7)


def test_density_integrates_to_one() -> None:
    mean, log_std = torch.tensor(0.7, dtype=torch.float64), torch.tensor(-0.4, dtype=torch.float64)
    actions = torch.linspace(-1, 1, 200_003, dtype=torch.float64)[1:-1]
    noise = (torch.atanh(actions) - mean) / log_std.exp()
    _, log_density = sample(mean, log_std, noise.unsqueeze(-1))
    assert torch.trapezoid(log_density.exp(), actions).item() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tails_are_finite_and_follow_their_asymptote(dtype: torch.dtype) -> None:
    pre_tanh = torch.tensor([-1e4, -100.0, -30.0, 30.0, 100.0, 1e4], dtype=dtype, requires_grad=True)
    slope = log_tanh_slope(pre_tanh)
    # log(1 - tanh(u)^2) -> log 4 - 2 |u|, although 1 - tanh(u)^2 itself is 0 in floating point.
    torch.testing.assert_close(slope, math.log(4.0) - 2 * pre_tanh.abs())
    slope.sum().backward()
    torch.testing.assert_close(pre_tanh.grad, -2 * pre_tanh.detach().sign())
    action, log_prob = sample(pre_tanh, torch.full_like(pre_tanh, -10.0), torch.zeros_like(pre_tanh))
    assert action.abs().max() <= 1 and log_prob.isfinite()


def test_no_noise_is_the_mode() -> None:
    mean = unit(5, 2, seed=3)
    action, _ = sample(mean, torch.zeros_like(mean), torch.zeros_like(mean))
    assert action.equal(mode(mean))
