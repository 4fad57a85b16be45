"""Running-statistics norm inside a network: its moments are those of all training batches; nothing else moves them."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from fresh_blocks import fresh
from torch import Tensor

from composer.algorithms.normalization.moments import RunningMoments
from composer.networks.blocks import RsNorm
from composer.spec.shape import Shape


def stream(count: int, *shape: int) -> list[Tensor]:
    """Batches whose coordinates differ in place and scale, and that drift."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.logspace(-2, 2, shape[-1])
    return [torch.randn(shape, generator=generator) * scale + 30 * scale + step for step in range(count)]


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4)], ids=str)
def test_moments_are_those_of_all_training_batches(shape: Shape) -> None:
    module, size = fresh(RsNorm(), shape), torch.tensor(shape).prod().item()
    oracle = RunningMoments(1, int(size))
    close = partial(torch.testing.assert_close, rtol=1e-5, atol=1e-5)
    for x in stream(12, 2, 4, *shape):
        y, rows = module(x), x.reshape(1, -1, int(size))
        oracle.observe(rows)
        # The batch counts before it is normalised.
        torch.testing.assert_close(
            y.reshape(1, -1, int(size)), oracle.normalise(x.reshape(1, -1, int(size))), rtol=1e-5, atol=1e-5
        )
    close(module.mean.flatten(), oracle.mean[0].float())
    close(module.variance.flatten(), oracle.variance[0].float())
    assert module.count.item() == pytest.approx(12 * 8 + 1e-4)


def test_evaluation_reads_and_gradients_leave_the_moments() -> None:
    module = fresh(RsNorm(epsilon=0.5), (5,))
    (x,) = stream(1, 8, 5)
    torch.testing.assert_close(module.eval()(x), x / 1.5**0.5)
    assert not module.mean.any() and module.count.item() == pytest.approx(1e-4)
    leaf = x.clone().requires_grad_()
    y = module.train()(leaf)
    (gradient,) = torch.autograd.grad(y.sum(), leaf)
    torch.testing.assert_close(gradient, (module.variance + 0.5).rsqrt().expand(8, 5))
    assert not module.mean.requires_grad and not list(module.parameters())
    before = module.mean.clone()
    module.eval()(x + 1)
    assert torch.equal(module.mean, before)


def test_one_sample_is_a_batch_of_one() -> None:
    one, other = (fresh(RsNorm(), (5,)) for _ in range(2))
    for x in stream(4, 5):
        torch.testing.assert_close(one(x), other(x[None])[0])
    torch.testing.assert_close(one.state_dict(), other.state_dict())
