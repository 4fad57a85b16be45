"""Dropout: the rate, the mean, a fresh mask each call, a stream a member, nothing at all in evaluation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from composer.networks.blocks import Dropout


def module(rate: float, key: int = 7) -> nn.Module:
    built = Dropout(rate=rate).build((8,))
    built.load_state_dict({"key": torch.tensor(key), "draws": torch.tensor(0)})
    return built


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_rate_and_mean(rate: float) -> None:
    n = 200_000
    x = torch.full((n,), 3.0)
    y = module(rate)(x)
    standard_error = (rate * (1 - rate) / n) ** 0.5
    assert abs((y == 0).float().mean().item() - rate) <= 5 * standard_error
    kept = y[y != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 3.0 / (1 - rate)))
    assert abs(y.mean().item() - 3.0) <= 5 * 3.0 * standard_error / (1 - rate) + 1e-5


def test_gradients_pass_where_entries_do() -> None:
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    y = module(0.4)(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, (y != 0).float() / 0.6)


def test_evaluation_is_the_identity_and_draws_nothing() -> None:
    dropout, x = module(0.5).eval(), torch.randn(4, 8)
    assert dropout(x) is x
    assert dropout.state_dict()["draws"].item() == 0


def test_each_call_draws_anew_from_a_stream_that_repeats() -> None:
    x = torch.ones(64, 32)
    one, same, other = module(0.5), module(0.5), module(0.5, key=8)
    first, second = one(x), one(x)
    assert one.state_dict()["draws"].item() == 2
    assert torch.equal(same(x), first) and torch.equal(same(x), second)
    for unlike in (second, other(x)):
        agreement = (unlike == first).float().mean().item()
        assert abs(agreement - 0.5) < 5 * 0.5 / 2048**0.5
    samples = (first == 0).float()
    assert len(samples.unique(dim=0)) == len(samples), "samples of a batch have masks of their own"


def test_members_of_a_stack_drop_their_own_entries() -> None:
    x, keys = torch.ones(64, 8), torch.arange(3)
    buffers = {"key": keys, "draws": torch.zeros(3, dtype=torch.int64)}
    template = module(0.5)

    def called(tensors: dict[str, Tensor]) -> Tensor:
        output: Tensor = functional_call(template, tensors, (x,))
        return output

    stacked = [vmap(called)(buffers) for _ in range(2)]
    assert buffers["draws"].tolist() == [2, 2, 2]
    for index in range(3):
        alone = module(0.5, key=index)
        for output in stacked:
            assert torch.equal(output[index], alone(x))
    assert not torch.equal(stacked[0][0], stacked[0][1])
