"""Prioritised sampling: frequencies and weights against their formulas, Secs. 3.3 and 3.4 of arXiv:1511.05952."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare

from composer.replay.priorities import BLOCK, LossAdjustedPriorities, Priorities, importance


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize("exponent", [1.0, 0.5])
def test_slots_come_in_proportion_to_a_power_of_their_error(exponent: float) -> None:
    held = Priorities(2, 3 * BLOCK, exponent)
    slots = torch.tensor([0, 5, BLOCK - 1, BLOCK, 2 * BLOCK + 7])
    errors = torch.tensor([[1.0, 2.0, 4.0, 0.5, 3.0], [5.0, 1.0, 1.0, 1.0, 0.25]])
    held.enter(slots)
    held.report(slots.expand(2, -1), errors)
    drawn, likely = held.draw(20_000, generators(1, 2))
    for seed in range(2):
        wanted = errors[seed].double() ** exponent
        wanted = wanted / wanted.sum()
        counts = torch.stack([(drawn[seed] == slot).sum() for slot in slots])
        assert counts.sum() == 20_000  # Nothing that holds no priority is drawn.
        assert chisquare(counts.numpy(), 20_000 * wanted.numpy()).pvalue > 1e-3
        for slot, share in zip(slots, wanted, strict=True):
            assert torch.allclose(likely[seed][drawn[seed] == slot], share.double())


def test_draws_are_stratified() -> None:
    held = Priorities(1, 8, 1.0)
    held.enter(torch.arange(8))
    drawn, _ = held.draw(8, generators(3))
    assert drawn.tolist() == [list(range(8))]  # Eight equal shares, one draw from each.


def test_new_transitions_are_as_likely_as_the_likeliest_was() -> None:
    held = Priorities(2, 16, 0.5)
    held.enter(torch.arange(2))
    held.report(torch.tensor([[0, 1], [0, 1]]), torch.tensor([[9.0, 1.0], [0.1, 0.1]]))
    held.enter(torch.tensor([2]))
    _, likely = held.draw(4_000, generators(0, 0))
    assert likely[0].unique().tolist() == pytest.approx([1 / 7, 3 / 7])
    # Where nothing beats what untouched ones have, they keep it: 1.
    low = 0.1**0.5
    assert likely[1].unique().tolist() == pytest.approx([low / (1 + 2 * low), 1 / (1 + 2 * low)])


def test_what_has_left_is_never_drawn_and_does_not_come_back() -> None:
    held = Priorities(1, 8, 1.0)
    held.enter(torch.arange(8))
    held.leave(torch.tensor([2, 3]))
    held.report(torch.tensor([[2, 4]]), torch.tensor([[50.0, 2.0]]))
    drawn, _ = held.draw(5_000, generators(0))
    assert set(drawn.flatten().tolist()) == {0, 1, 4, 5, 6, 7}


def test_weights_undo_the_bias() -> None:
    likely = torch.tensor([[0.5, 0.25, 0.125]], dtype=torch.float64)
    full = importance(likely, 10, torch.tensor([1.0]))
    assert torch.allclose(full, torch.tensor([[0.25, 0.5, 1.0]]))
    half = importance(likely, 10, torch.tensor([0.5]))
    assert torch.allclose(half, full.sqrt())
    assert torch.equal(importance(likely, 10, torch.tensor([0.0])), torch.ones(1, 3))


def test_a_restored_state_draws_the_same() -> None:
    held = Priorities(2, 3_000, 0.7)
    held.enter(torch.arange(3_000))
    random = torch.Generator().manual_seed(5)
    for _ in range(20):
        held.report(torch.randint(3_000, (2, 64), generator=random), torch.rand(2, 64, generator=random))
    other = Priorities(2, 3_000, 0.7)
    other.load({name: value.clone() for name, value in held.tensors().items()}, 3_000)
    ours, theirs = held.draw(512, generators(1, 2)), other.draw(512, generators(1, 2))
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_loss_adjusted_priorities_are_those_of_td7() -> None:
    """max(error, 1)^0.4, arXiv:2007.06049; the largest only grows, and is looked up again every few updates."""
    held = LossAdjustedPriorities(2, 8, 0.4, minimum=1.0, refresh=3, device="cpu")
    held.enter(torch.arange(4))
    slots = torch.tensor([[0, 1, 2], [0, 1, 2]])
    held.report(slots, torch.tensor([[0.2, 3.0, 50.0], [0.1, 0.2, 0.3]]))
    assert held.tensors()["priorities"][0, :4].tolist() == pytest.approx([1, 3.0**0.4, 50.0**0.4, 1])
    assert held.tensors()["priorities"][1, :4].tolist() == [1, 1, 1, 1]  # Nothing below the minimum counts.
    held.report(slots, torch.full((2, 3), 2.0))
    assert held.tensors()["largest"].flatten().tolist() == pytest.approx([50.0**0.4, 2.0**0.4])
    held.report(slots, torch.full((2, 3), 1.5))
    assert held.tensors()["largest"].flatten().tolist() == pytest.approx([1.5**0.4] * 2)
    drawn, likely = held.draw(20_000, generators(1, 2))
    assert torch.equal(held.weights(likely, 4, torch.zeros(2)), torch.ones(2, 20_000))
    wanted = torch.tensor([1.5**0.4] * 3 + [1.0], dtype=torch.float64)
    assert chisquare(drawn[0].bincount().numpy(), (20_000 * wanted / wanted.sum()).numpy()).pvalue > 1e-3
    one_each, _ = LossAdjustedPriorities.draw(held, 4, generators(5, 5))
    assert any(len(row.unique()) < 4 for row in one_each)  # Independent draws, not one from each share.


def test_loss_adjusted_priorities_are_restored_with_their_counter() -> None:
    first, second = (LossAdjustedPriorities(1, 4, 0.4, minimum=1.0, refresh=2, device="cpu") for _ in range(2))
    first.enter(torch.arange(2))
    first.report(torch.tensor([[0]]), torch.tensor([[9.0]]))
    second.load({name: value.clone() for name, value in first.tensors().items()}, 2)
    for held in (first, second):
        held.report(torch.tensor([[0]]), torch.tensor([[2.0]]))
        assert held.tensors()["largest"].item() == pytest.approx(2.0**0.4)
