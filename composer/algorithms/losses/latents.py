"""Categorical latents and returns of imagined trajectories, as pure functions. Source: DreamerV3, arXiv:2301.04104.

Legend: ``[...]`` batch axes, V variables, K classes of each, T moments. Tests: tests/papers/test_latents.py.
"""

from __future__ import annotations

import torch
from torch import Tensor


def unimix(logits: Tensor, share: Tensor | float) -> Tensor:
    """Probabilities ``[..., V, K]``: the softmax, with a ``share`` of the uniform distribution mixed in."""
    return (1 - share) * logits.softmax(-1) + share / logits.shape[-1]


def drawn_one_hot(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """One-hot draws ``[..., V, K]`` whose gradient is that of the probabilities; ``uniform [..., V]`` is in [0, 1].

    Straight-through: ``onehot + p - sg(p)``. A draw is the class in which the distribution function passes ``uniform``.
    """
    below = probabilities.detach().cumsum(-1)[..., :-1]
    choice = (uniform[..., None] > below).sum(-1, keepdim=True)
    classes = torch.arange(probabilities.shape[-1], device=choice.device)
    return (choice == classes).to(probabilities.dtype) + (probabilities - probabilities.detach())


def categorical_kl(first: Tensor, second: Tensor) -> Tensor:
    """``KL(first || second)`` of probabilities ``[..., V, K]``, summed over variables: ``[...]``, in nats."""
    return (first * (first.log() - second.log())).sum((-2, -1))


def balanced_kl(posterior: Tensor, prior: Tensor, free_nats: Tensor | float) -> tuple[Tensor, Tensor]:
    """Losses of dynamics and of representation, ``[...]`` each: one KL, through the prior and through the posterior.

    Where it is below ``free_nats``, which is compared with the sum over variables, it is that number instead, without
    gradient. Eq. 3 of arXiv:2301.04104.
    """
    dynamics = categorical_kl(posterior.detach(), prior)
    representation = categorical_kl(posterior, prior.detach())
    return _at_least(dynamics, free_nats), _at_least(representation, free_nats)


def lambda_returns(reward: Tensor, live: Tensor, goes_on: Tensor, value: Tensor, decay: Tensor | float) -> Tensor:
    """Returns ``R_t = r_{t+1} + live_{t+1} ((1 - l_{t+1}) v_{t+1} + l_{t+1} R_{t+1})``, ``R_T = v_T``: ``[..., T]``.

    All arguments are ``[..., T + 1]``, the first entries of the first three unused. ``live`` is the discount where the
    episode has not terminated, ``l`` is ``decay`` where it ``goes_on`` and 0 where the next state is of another one.
    Eq. 6 of arXiv:2301.04104.
    """
    mixed = decay * goes_on
    single = reward + (1 - mixed) * live * value
    found = [value[..., -1]]
    for time in range(value.shape[-1] - 1, 0, -1):
        found.append(single[..., time] + live[..., time] * mixed[..., time] * found[-1])
    return torch.stack(found[:0:-1], -1)


def _at_least(value: Tensor, bound: Tensor | float) -> Tensor:
    return torch.maximum(value, torch.as_tensor(bound, dtype=value.dtype, device=value.device))
