"""Generalised advantages against sums written out, one start and one environment at a time: arXiv:1506.02438."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from composer.algorithms.losses.advantages import generalised_advantages

S, T, E = 2, 9, 3


def rollout(seed: int = 0) -> dict[str, Tensor]:
    """Random numbers, with terminations and truncations, some one after the other."""
    generator = torch.Generator().manual_seed(seed)
    found = {name: torch.randn(S, T, E, generator=generator) for name in ("reward", "value", "following")}
    terminated = torch.rand(S, T, E, generator=generator) < 0.2
    truncated = (torch.rand(S, T, E, generator=generator) < 0.2) & ~terminated
    assert terminated.any() and truncated.any()
    return found | {"terminated": terminated.float(), "ended": (terminated | truncated).float()}


def slow(data: dict[str, Tensor], discount: Tensor, weight: float, s: int, e: int, start: int) -> float:
    """``sum (discount lambda)^l delta_{t+l}`` up to the episode's or the rollout's last step. Eq. 16."""
    total, factor = 0.0, 1.0
    for t in range(start, T):
        reward, value, following, terminated, ended = (
            float(data[name][s, t, e]) for name in ("reward", "value", "following", "terminated", "ended")
        )
        after = 0.0 if terminated else following
        total += factor * (reward + float(discount[s]) * after - value)
        factor *= float(discount[s]) * weight
        if ended:
            break
    return total


@pytest.mark.parametrize("weight", [0.0, 0.8, 1.0])
def test_advantages_are_the_sums_of_the_equation(weight: float) -> None:
    data, discount = rollout(), torch.tensor([0.9, 0.7])
    bootstrap = discount[:, None, None] * (1 - data["terminated"])
    found = generalised_advantages(
        data["reward"], data["value"], data["following"], bootstrap, data["ended"], discount * weight
    )
    expected = [[[slow(data, discount, weight, s, e, t) for e in range(E)] for t in range(T)] for s in range(S)]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=1e-5)


def test_with_all_weight_on_the_longest_return_values_within_an_episode_do_not_matter() -> None:
    """Lambda 1, where each next value is the value of the next observation: returns minus the value at the start."""
    data, discount = rollout(), torch.tensor([0.9, 0.7])
    for name in ("terminated", "ended"):
        data[name].zero_()
    data["following"][:, :-1] = data["value"][:, 1:]
    bootstrap = discount[:, None, None].expand(S, T, E)
    found = generalised_advantages(data["reward"], data["value"], data["following"], bootstrap, data["ended"], discount)
    powers = discount[:, None, None] ** torch.arange(T)[:, None]
    returns = (powers * data["reward"]).sum(1) + discount[:, None] ** T * data["following"][:, -1]
    torch.testing.assert_close(found[:, 0] + data["value"][:, 0], returns, rtol=1e-5, atol=1e-5)
