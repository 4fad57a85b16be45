"""The noisy layer: moments and structure of its noise, none in evaluation. arXiv:1706.10295, Eq. 8 to 11."""

from __future__ import annotations

import math

import pytest
import torch
from fresh_blocks import fresh
from torch import Tensor, nn

from composer.networks.blocks import NoisyLinear

IN, OUT = 6, 4


def layer(key: int = 3, width: int = OUT) -> nn.Module:
    module = fresh(NoisyLinear(width=width), (IN,))
    module.load_state_dict({**module.state_dict(), "key": torch.tensor(key)})
    return module.train()


def noise(module: nn.Module) -> tuple[Tensor, Tensor]:
    """The noise of weights and biases of one pass, read off the outputs for unit vectors and for zero."""
    with torch.no_grad():
        both = module(torch.cat([torch.eye(IN), torch.zeros(1, IN)]))
        bias = both[-1]
        weight = (both[:-1] - bias).mT
        return (weight - module.weight) / module.weight_sigma, (bias - module.bias) / module.bias_sigma


def test_first_values_are_the_papers() -> None:
    module = fresh(NoisyLinear(width=500), (IN,))
    bound = 1 / math.sqrt(IN)
    for mean in (module.weight, module.bias):
        assert mean.abs().max() <= bound and mean.abs().max() > 0.95 * bound
    for scale in (module.weight_sigma, module.bias_sigma):
        torch.testing.assert_close(scale, torch.full_like(scale, 0.5 / math.sqrt(IN)))


def test_the_noise_of_weights_is_the_product_of_two_vectors_and_that_of_biases_one_of_them() -> None:
    weight, bias = noise(layer())
    entering = weight[0] / bias[0]
    torch.testing.assert_close(weight, bias[:, None] * entering, rtol=1e-3, atol=1e-4)
    assert entering.std() > 0.1 and bias.std() > 0.1


def test_moments() -> None:
    """Of f(e) = sign(e) sqrt|e| the mean is 0 and the mean square that of |e|, sqrt(2 / pi); products multiply it."""
    module, draws = layer(), 4000
    each = [noise(module) for _ in range(draws)]
    weights, biases = (torch.stack(list(kind)) for kind in zip(*each, strict=True))
    assert module.draws.item() == draws
    root = math.sqrt(2 / math.pi)
    for values, square in ((weights, root**2), (biases, root)):
        assert values.mean(0).abs().max() < 5 / draws**0.5
        torch.testing.assert_close(values.square().mean(0), torch.full_like(values[0], square), rtol=0.15, atol=0)


def test_one_draw_serves_all_samples_of_a_pass_and_the_next_pass_has_another() -> None:
    module, x = layer(), torch.randn(1, IN, generator=torch.Generator().manual_seed(0))
    together = module(x.expand(5, IN))
    torch.testing.assert_close(together, together[:1].expand(5, OUT))
    assert not torch.equal(module(x), together[:1])
    same, other = layer(), layer(key=4)
    torch.testing.assert_close(same(x), together[:1])
    assert not torch.allclose(other(x), together[:1])


def test_evaluation_has_no_noise_and_draws_nothing() -> None:
    module, x = layer().eval(), torch.randn(3, IN)
    assert torch.equal(module(x), torch.nn.functional.linear(x, module.weight, module.bias))
    assert module.draws.item() == 0


@pytest.mark.parametrize("path", ["weight_sigma", "bias_sigma"])
def test_scales_learn_by_the_noise(path: str) -> None:
    module = layer()
    weight, bias = noise(module)
    module.draws.zero_()
    (gradient,) = torch.autograd.grad(module(torch.ones(1, IN)).sum(), getattr(module, path))
    torch.testing.assert_close(gradient, weight if path == "weight_sigma" else bias, rtol=1e-3, atol=1e-3)
