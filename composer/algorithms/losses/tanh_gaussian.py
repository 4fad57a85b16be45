"""The tanh-squashed Gaussian: actions in (-1, 1) with their log-densities, as pure functions.

Source: Haarnoja et al., arXiv:1812.05905, appendix C. Tests: tests/papers/test_tanh_gaussian.py.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


def sample(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The action ``tanh(mean + exp(log_std) * noise)`` and its log-density, both differentiable in mean and log_std.

    Args:
        mean: ``[..., a]``, before the tanh.
        log_std: ``[..., a]``, natural logarithm of the standard deviation before the tanh.
        noise: ``[..., a]``, draws of a unit normal.

    Returns:
        The action ``[..., a]`` in [-1, 1] and its log-density ``[...]``, summed over the last axis.
    """
    pre_tanh = mean + log_std.exp() * noise
    # Eq. 21, with the squashing term in a form that neither takes the logarithm of 0 nor cancels.
    gaussian = -0.5 * noise.square() - log_std - HALF_LOG_TWO_PI
    return torch.tanh(pre_tanh), (gaussian - log_tanh_slope(pre_tanh)).sum(-1)


def draw(mean: Tensor, log_std: Tensor, noise: Tensor) -> Tensor:
    """The action of ``sample``, without its log-density: ``[..., a]`` in [-1, 1]."""
    return torch.tanh(mean + log_std.exp() * noise)


def mode(mean: Tensor) -> Tensor:
    """The action without noise, ``tanh(mean)``, for evaluation. Same shape, in [-1, 1]."""
    return torch.tanh(mean)


def log_tanh_slope(pre_tanh: Tensor) -> Tensor:
    """``log(1 - tanh(u)**2) = 2 (log 2 - u - softplus(-2u))``, finite and exact for any finite u. Same shape."""
    return 2.0 * (math.log(2.0) - pre_tanh - functional.softplus(-2.0 * pre_tanh))
