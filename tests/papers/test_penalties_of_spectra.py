"""Parseval, spectral and Wasserstein penalties against their closed forms, seed by seed and copy by copy."""

from __future__ import annotations

import torch
from surgeon import Patient
from torch import Tensor

from composer.networks.initializers import Zeros
from composer.networks.outline import ParameterPlan
from composer.optim.penalties import Parseval, Penalty, Spectral, Wasserstein

ALL = {"where": ["critic.*"], "coefficient": 1.0}
SPECTRAL = "penalties.it={ kind = 'spectral', where = ['critic.*'], coefficient = 0.1 }"


def weights(*shape: int) -> Tensor:
    """Of two seeds with two copies."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 2, *shape, dtype=torch.float64, generator=generator).requires_grad_()


def numbers(penalty: Penalty) -> list[Tensor]:
    return [torch.full((2, 1), number, dtype=torch.float64) for number in penalty.numbers()]


def gradient(penalty: Penalty, value: Tensor, anchor: Tensor | None = None, memory: Tensor | None = None) -> Tensor:
    (found,) = torch.autograd.grad(penalty.term(value, anchor, memory, *numbers(penalty)).sum(), [value])
    return found


def test_parseval_is_the_distance_of_a_gram_matrix_from_a_multiple_of_the_identity() -> None:
    """``|W W^T - s I|_F^2``, with the gradient ``4 (W W^T - s I) W``; orthogonal rows of norm sqrt(s) cost nothing."""
    value, penalty = weights(3, 2, 2), Parseval(scale=1.5, **ALL)
    found = penalty.term(value, None, None, *numbers(penalty))
    for seed in range(2):
        expected = 0.0
        for copy in range(2):
            rows = value[seed, copy].reshape(3, 4)
            for i in range(3):
                for j in range(3):
                    expected += float((rows[i] @ rows[j]).item() - 1.5 * (i == j)) ** 2
        torch.testing.assert_close(found[seed].item(), expected)
    matrix = value.detach().flatten(3)
    excess = matrix @ matrix.mT - 1.5 * torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(gradient(penalty, value).flatten(3), 4 * excess @ matrix)
    tight = 1.5**0.5 * torch.linalg.qr(weights(4, 3).detach()).Q.mT
    torch.testing.assert_close(penalty.term(tight, None, None, *numbers(penalty)), torch.zeros(2, dtype=torch.float64))


def test_spectral_is_the_distance_of_the_largest_singular_value_from_1() -> None:
    """``(s^k - 1)^2``, with the gradient ``2 k (s^k - 1) s^(k-1) u v^T``, once the power method has found it."""
    value, penalty = weights(5, 2, 2), Spectral(exponent=3.0, **ALL)
    shape = penalty.memory(ParameterPlan((5, 2, 2), Zeros(), 4, 5))
    assert shape == (5,)
    memory = torch.ones(2, 2, *shape, dtype=torch.float64)
    for _ in range(400):
        found = penalty.term(value, None, memory, *numbers(penalty))
    left, singular, right = torch.linalg.svd(value.detach().flatten(3), full_matrices=False)
    largest = singular[..., 0]
    torch.testing.assert_close(found, (largest**3 - 1).square().sum(1))
    slope = (6 * (largest**3 - 1) * largest**2)[..., None, None]
    expected = slope * left[..., :1] @ right[..., :1, :]
    torch.testing.assert_close(gradient(penalty, value, memory=memory).flatten(3), expected)
    before = memory.clone()
    penalty.term(torch.zeros_like(value), None, memory, *numbers(penalty))
    assert torch.equal(memory, before), "a weight of zeros has no direction"


def test_wasserstein_compares_sorted_entries() -> None:
    """Brute force: the cheapest of all pairings of entries; a permutation of the first draw costs nothing."""
    from itertools import permutations

    first, value, penalty = weights(2, 2).detach(), weights(2, 2), Wasserstein(**ALL)
    anchor = penalty.anchor(first)
    with torch.no_grad():
        value.copy_(
            first.flip(2) + 1e-1 * torch.randn(value.shape, generator=torch.Generator().manual_seed(1)).double()
        )
    found = penalty.term(value, anchor, None)
    for seed in range(2):
        cheapest = [
            min(
                sum((a - b) ** 2 for a, b in zip(value[seed, copy].flatten().tolist(), order, strict=True))
                for order in permutations(first[seed, copy].flatten().tolist())
            )
            for copy in range(2)
        ]
        torch.testing.assert_close(found[seed].item(), sum(cheapest))
    torch.testing.assert_close(penalty.term(first.mT, anchor, None), torch.zeros(2, dtype=torch.float64))
    assert (gradient(penalty, value, anchor) != 0).any()


def test_the_power_method_continues_where_it_was_saved() -> None:
    """The state holds what the penalty keeps: an agent that loads it goes on to the bit, one without does not."""
    whole, half = (Patient("seeds=[0, 5]", SPECTRAL) for _ in range(2))
    whole.update(3)
    saved = whole.state()
    name = "penalties/it/critic.trunk.0.weight"
    assert saved[name].shape[:2] == (2, 2) and "penalties/it/critic.trunk.0.bias" not in saved
    for key, value in half.learner.tensors().items():
        value.data.copy_(saved[key])
    half.updates = 3
    forgetful = Patient("seeds=[0, 5]", SPECTRAL)
    for key, value in forgetful.learner.tensors().items():
        value.data.copy_(torch.ones_like(value) if key.startswith("penalties/") else saved[key])
    forgetful.updates = 3
    for each in (whole, half, forgetful):
        each.learner._generators[0].manual_seed(1)
        each.learner._generators[1].manual_seed(2)
        each.update(2)
    theirs = whole.state()
    assert all(torch.equal(value, theirs[key]) for key, value in half.state().items())
    weight = "networks/critic/trunk.0.weight"
    assert not torch.equal(forgetful.state()[weight], theirs[weight])
