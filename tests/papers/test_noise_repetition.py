"""Held exploration noise, arXiv:2604.04539: lengths by their chances, and draws that go on, against a loop."""

from __future__ import annotations

import pytest
import torch
from tiny_runs import DRIFT, EAGER, TINY
from torch.special import ndtri

from composer.algorithms.losses.noise_repetition import RepeatedNoise
from composer.blueprint import load
from composer.training.learner import Learner

HELD = "algorithm.noise_repetition={ exponent = 2.0, longest = 16 }"


def test_lengths_have_their_published_chances() -> None:
    """At 20,000 even levels of probability the share of each k is 1 / k^2 over the sum of 16 of them; 0 is even."""
    repeated = RepeatedNoise(torch.tensor([2.0, 0.0]), 16, 3)
    levels = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    found = repeated.lengths(ndtri(levels).expand(2, -1))
    total = sum(k**-2 for k in range(1, 17))
    for k in range(1, 17):
        shares = (found == k).double().mean(1)
        assert shares.tolist() == pytest.approx([k**-2 / total, 1 / 16], abs=2e-4), k


def test_a_draw_is_held_for_its_length() -> None:
    repeated = RepeatedNoise(torch.tensor([1.0]), 5, 2)
    draws = torch.Generator().manual_seed(0)
    memory = {name: torch.zeros(1, 3, *shape) for name, shape in repeated.memory.items()}
    held, left = [[0.0, 0.0]] * 3, [0] * 3
    for _ in range(60):
        fresh = torch.randn(1, 3, 3, generator=draws)
        lengths = repeated.lengths(fresh[..., -1])[0].tolist()
        noise, memory = repeated.next(fresh, memory)
        for row in range(3):
            if left[row] == 0:
                held[row], left[row] = fresh[0, row, :2].tolist(), int(lengths[row])
            left[row] -= 1
        assert noise[0].tolist() == held
    assert repeated.draws == (3,)


@pytest.mark.parametrize("name", ["tiny.toml", "tiny_td3.toml"])
def test_policies_explore_by_what_is_held(name: str) -> None:
    agent, white = (
        Learner(load(TINY.with_name(name), [DRIFT, *held]).blueprint.agent, "cpu", EAGER) for held in ((HELD,), ())
    )
    program, memory = agent.program, agent.policy.empty_memory(2)
    draws = torch.Generator().manual_seed(1)
    seen, noise = (torch.randn(1, 2, 3, generator=draws) for _ in range(2))
    noise[..., -1] = 5.0
    starts = torch.zeros(1, 2, dtype=torch.bool)
    action, _, memory = program.act_from_memory(seen, noise, starts, memory)
    assert program.exploration_noise == (3,) and torch.equal(action, program.act(seen, noise[..., :-1]))
    again, _, _ = program.act_from_memory(seen, torch.randn(1, 2, 3, generator=draws), starts, memory)
    assert torch.equal(again, action), "the longest hold goes on"
    mode, _ = program.evaluate_from_memory(seen, None, starts, memory)
    assert torch.equal(mode, program.act(seen, None)), "evaluations draw nothing"
    assert not program.export_problem
    assert not white.program.acting_memory
