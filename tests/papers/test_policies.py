"""Choices and normals against torch.distributions, and their draws against their probabilities."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Categorical, Independent, Normal

from composer.algorithms.losses.policies import CategoricalPolicy, GaussianPolicy


def normals(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [1.0, 20.0])
def test_a_choice_is_torchs(size: float) -> None:
    logits = size * normals(3, 7, 5)
    action = CategoricalPolicy().draw(logits, normals(3, 7, 5, seed=1))
    theirs = Categorical(logits=logits)
    torch.testing.assert_close(CategoricalPolicy().log_density(logits, action), theirs.log_prob(action.argmax(-1)))
    torch.testing.assert_close(CategoricalPolicy().entropy(logits), theirs.entropy(), atol=1e-5, rtol=1e-5)
    assert torch.equal(action.sum(-1), torch.ones(3, 7)) and torch.equal(
        action, CategoricalPolicy().to_env_action(action)
    )


def test_choices_are_drawn_as_often_as_they_are_likely() -> None:
    logits, number = torch.tensor([0.0, 1.0, -2.0, 0.5]), 200_000
    share = CategoricalPolicy().draw(logits.expand(number, 4), normals(number, 4)).mean(0)
    likely = logits.softmax(-1)
    error = (likely * (1 - likely) / number).sqrt()
    assert ((share - likely).abs() < 4 * error).all()


def test_a_choice_survives_the_largest_noise() -> None:
    noise = torch.tensor([[8.0, 7.9], [-12.0, -11.0]])
    assert CategoricalPolicy().draw(torch.zeros(2, 2), noise).tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_the_mode_is_the_likeliest_choice() -> None:
    assert CategoricalPolicy().mode(torch.tensor([[0.0, 2.0, 1.0], [3.0, 3.0, 1.0]])).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_normals_are_torchs() -> None:
    raw = normals(3, 7, 4), normals(3, 7, 4, seed=1)
    noise = normals(3, 7, 4, seed=2)
    theirs = Independent(Normal(raw[0], raw[1].exp()), 1)
    action = GaussianPolicy().draw(raw, noise)
    torch.testing.assert_close(action, raw[0] + raw[1].exp() * noise)
    torch.testing.assert_close(GaussianPolicy().log_density(raw, action), theirs.log_prob(action), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(GaussianPolicy().entropy(raw), theirs.entropy())


def test_draws_leave_the_box_and_what_is_played_does_not() -> None:
    raw = torch.tensor([[3.0, -0.5]]), torch.zeros(1, 2)
    drawn = GaussianPolicy().draw(raw, torch.tensor([[1.0, -2.0]]))
    assert drawn.tolist() == [[4.0, -2.5]]
    assert GaussianPolicy().to_env_action(drawn).tolist() == [[1.0, -1.0]]
    assert GaussianPolicy().mode(raw).tolist() == [[1.0, -0.5]]
    assert GaussianPolicy().to_env_action(torch.tensor([torch.nan])).isnan().all()
