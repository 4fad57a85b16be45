"""Activations against the loss of plasticity, in float64: sine and cosine, learned slopes, quotients of polynomials."""

from __future__ import annotations

import pytest
import torch

from composer.networks.blocks import LeakyRelu, Prelu, Rational, SineCosine
from composer.networks.modules.learned_activations import DENOMINATOR, NUMERATOR
from composer.spec.shape import Shape


def grid(*shape: int) -> torch.Tensor:
    return 3 * torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("shape", "doubled", "axis"), [((4,), (8,), 1), ((3, 4, 5), (6, 4, 5), 1)], ids=str)
def test_sine_and_cosine_are_never_both_flat(shape: Shape, doubled: Shape, axis: int) -> None:
    """arXiv:2410.20634: their squares add to 1, and so do those of their slopes."""
    block, x = SineCosine(), grid(7, *shape).requires_grad_()
    assert block.outline(shape).output == doubled
    sine, cosine = block.build(shape)(x).split(shape[0], axis)
    torch.testing.assert_close(sine, x.sin())
    torch.testing.assert_close(cosine, x.cos())
    slopes = [torch.autograd.grad(half.sum(), x, retain_graph=True)[0] for half in (sine, cosine)]
    torch.testing.assert_close(slopes[0].square() + slopes[1].square(), torch.ones_like(x))


def test_leaky_relu_and_a_slope_for_each_feature() -> None:
    x = grid(6, 3)
    torch.testing.assert_close(LeakyRelu(slope=0.3).build((3,))(x), torch.where(x > 0, x, 0.3 * x))
    slopes = torch.tensor([-0.5, 0.0, 0.25], dtype=torch.float64)
    for shape in ((3,), (3, 2, 2)):
        module, x = Prelu().build(shape).double(), grid(6, *shape)
        with torch.no_grad():
            module.slope.copy_(slopes)
            found = module(x)
        steep = slopes.view(3, *[1] * (len(shape) - 1))
        torch.testing.assert_close(found, torch.where(x > 0, x, steep * x))


def test_a_rational_activation_is_its_quotient_and_begins_as_a_leaky_relu() -> None:
    module, x = Rational().build((50,)).double(), torch.linspace(-3, 3, 50, dtype=torch.float64)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        assert (module(x) - torch.where(x > 0, x, 0.01 * x)).abs().max() < 0.035
        changes = [grid(6), grid(10)[6:]]
        module.numerator.copy_(changes[0])
        module.denominator.copy_(changes[1])
        found = module(x)
    above = sum(
        (first + float(change)) * x**i for i, (first, change) in enumerate(zip(NUMERATOR, changes[0], strict=True))
    )
    below = sum(
        (first + float(change)) * x ** (j + 1)
        for j, (first, change) in enumerate(zip(DENOMINATOR, changes[1], strict=True))
    )
    torch.testing.assert_close(found, above / (1 + abs(below)))
