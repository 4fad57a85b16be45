"""Group norm against its formula, on images and on vectors."""

from __future__ import annotations

import pytest
import torch
from fresh_blocks import fresh
from torch import Tensor

from composer.networks.blocks import GroupNorm, LayerNorm
from composer.spec.shape import Shape, ShapeError


def by_formula(x: Tensor, groups: int, epsilon: float, axis: int) -> Tensor:
    """One sample, group by group along ``axis``."""
    normal = []
    for group in x.chunk(groups, axis):
        mean = group.mean()
        normal.append((group - mean) / ((group - mean).square().mean() + epsilon).sqrt())
    return torch.cat(normal, axis)


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("epsilon", [1e-6, 0.5])
def test_images(groups: int, epsilon: float) -> None:
    x = torch.randn(2, 3, 6, 4, 5, generator=torch.Generator().manual_seed(0)) * 2 + 1
    module = fresh(GroupNorm(groups=groups, epsilon=epsilon), (6, 4, 5))
    with torch.no_grad():
        module.weight.copy_(torch.arange(6.0))
        module.bias.copy_(torch.arange(6.0) - 3)
    normal = torch.stack([by_formula(sample, groups, epsilon, 0) for sample in x.flatten(0, 1)]).view(x.shape)
    torch.testing.assert_close(module(x), normal * module.weight[:, None, None] + module.bias[:, None, None])
    torch.testing.assert_close(module(x)[1, 2], module(x[1, 2]))


def test_vectors_and_tokens_are_normalised_one_by_one() -> None:
    x = torch.randn(2, 7, 6, generator=torch.Generator().manual_seed(0)) * 2 + 1
    expected = torch.stack([by_formula(token, 3, 1e-6, 0) for token in x.flatten(0, 1)]).view(x.shape)
    shapes: list[Shape] = [(6,), (7, 6)]
    for shape in shapes:
        torch.testing.assert_close(GroupNorm(groups=3, affine=False).build(shape)(x), expected)
    torch.testing.assert_close(GroupNorm(groups=1).build((6,))(x), LayerNorm().build((6,))(x))


@pytest.mark.parametrize(
    ("shape", "groups", "message"),
    [
        ((6, 4, 4), 4, "6 features do not divide into 4 groups"),
        ((4, 6), 6, "a group of one entry is always 0 after normalisation"),
        ((6, 1, 1), 6, "a group of one entry is always 0 after normalisation"),
    ],
)
def test_groups_that_do_not_fit_are_refused(shape: Shape, groups: int, message: str) -> None:
    for method in (GroupNorm(groups=groups).outline, GroupNorm(groups=groups).build):
        with pytest.raises(ShapeError) as caught:
            method(shape)
        assert (caught.value.message, caught.value.steps) == (message, ("groups",))
    assert GroupNorm(groups=6).outline((6, 1, 2)).count() == 12
