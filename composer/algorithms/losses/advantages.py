"""Generalised advantages of a rollout. Source: Schulman et al., arXiv:1506.02438.

Tests: tests/papers/test_advantages.py.
Legend: S seeds, T interactions of a rollout, E environments of a seed.
"""

from __future__ import annotations

import torch
from torch import Tensor


def generalised_advantages(
    reward: Tensor, value: Tensor, following: Tensor, bootstrap: Tensor, ended: Tensor, trace: Tensor
) -> Tensor:
    """``A_t = delta_t + trace (1 - ended_t) A_{t+1}``, ``delta_t = r_t + bootstrap_t V(s_{t+1}) - V(s_t)``. Eq. 16.

    Every end of an episode cuts the sum. ``bootstrap`` is 0 after a termination, and the discount after a truncation
    and in the last interaction, whose next states still have a value.

    Args:
        reward: ``[S, T, E]``.
        value: ``[S, T, E]``, of each observation.
        following: ``[S, T, E]``, value of the next observation; at an end, of the episode's last observation.
        bootstrap: ``[S, T, E]``, the discount, 0 where the episode terminated.
        ended: ``[S, T, E]``, 1 where the episode terminated or was truncated.
        trace: ``[S]``, discount times lambda.

    Returns:
        ``[S, T, E]``.
    """
    delta = reward + bootstrap * following - value
    keep = trace[:, None, None] * (1 - ended)
    chain, found = torch.zeros_like(delta[:, 0]), torch.empty_like(delta)
    for step in reversed(range(delta.shape[1])):
        chain = torch.addcmul(delta[:, step], keep[:, step], chain)
        found[:, step] = chain
    return found
