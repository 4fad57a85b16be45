"""The formulas of the diagnostics against values that can be worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from composer.diagnostics.formulas import ranks
from composer.diagnostics.formulas.churn import churn
from composer.diagnostics.formulas.curvature import largest_eigenvalue
from composer.diagnostics.formulas.features import feature_dot, feature_norm
from composer.diagnostics.formulas.gradients import cosines, flat, interference
from composer.diagnostics.formulas.norms import effective_rates, layers, norm, squared_norm, weighted_mean
from composer.networks.unit_statistics import dead, dormant, scores, summary


def close(actual: Tensor, expected: object, rtol: float = 1e-5) -> None:
    torch.testing.assert_close(actual.double(), torch.tensor(expected, dtype=torch.float64), rtol=rtol, atol=1e-7)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def with_values(values: list[float], samples: int = 40, features: int = 6) -> Tensor:
    """A random matrix of these singular values, the rest zero."""
    left, _ = torch.linalg.qr(noise(samples, samples, seed=1).double())
    right, _ = torch.linalg.qr(noise(features, features, seed=2).double())
    return (left[:, : len(values)] * torch.tensor(values, dtype=torch.float64)) @ right[: len(values)]


# Units ------------------------------------------------------------------------------------------------------------


def test_a_unit_is_dormant_by_its_share_of_the_layers_mean() -> None:
    mean = torch.tensor([4.0, 0.1, 0.0, 1.9])  # Mean 1.5: scores 2.67, 0.067, 0, 1.27.
    close(scores(mean), [4 / 1.5, 0.1 / 1.5, 0.0, 1.9 / 1.5])
    assert dormant(mean, 0.1).tolist() == [False, True, True, False]
    assert dormant(mean, 0.06).tolist() == [False, False, True, False]
    assert dormant(mean, 0.0).tolist() == [False, False, True, False]
    # The threshold itself is dormant; a score has no scale.
    assert dormant(torch.tensor([0.5, 1.5]), 0.5 - 1e-9).tolist() == [True, False]
    assert torch.equal(dormant(mean * 1e4, 0.1), dormant(mean, 0.1))


def test_a_silent_layer_is_dormant_altogether() -> None:
    assert dormant(torch.zeros(2, 3), 0.0).all()


def test_summaries_of_vectors_tokens_and_images() -> None:
    h = torch.tensor([[0.0, -2.0, 0.0], [0.0, 0.0, 3.0]])
    close(summary(h, -1), [[0.0, 1.0, 1.5], [0.0, 2.0, 3.0], [1.0, 0.5, 0.5]])
    tokens = noise(5, 4, 3)
    torch.testing.assert_close(summary(tokens, -1), summary(tokens.flatten(0, 1), -1))
    images = noise(5, 3, 2, 4).relu()
    torch.testing.assert_close(summary(images, -3), summary(images.movedim(1, -1), -1))
    assert summary(images, -3).shape == (3, 3)
    # One pixel of one sample keeps a channel alive.
    images[:, 1] = 0.0
    assert dead(summary(images, -3)[1]).tolist() == [False, True, False]
    images[4, 1, 1, 3] = 1e-6
    assert not dead(summary(images, -3)[1]).any()


# Ranks ------------------------------------------------------------------------------------------------------------


def test_ranks_of_a_matrix_of_known_singular_values() -> None:
    values = ranks.singular_values(with_values([95.0, 4.5, 0.4, 0.1]))
    close(values, [95.0, 4.5, 0.4, 0.1, 0.0, 0.0])
    close(ranks.srank(values), 2.0)  # 0.995 of the sum.
    close(ranks.srank(values, 0.1), 1.0)
    close(ranks.srank(values, 0.0005), 4.0)
    close(ranks.pca_rank(values), 1.0)  # 9025 of 9045.42.
    close(ranks.pca_rank(values, 0.001), 2.0)
    close(ranks.effective_rank(values), math.exp(-sum(x * math.log(x) for x in (0.95, 0.045, 0.004, 0.001))))
    close(ranks.stable_rank(values), 9045.42 / 9025)
    # The root of 40 samples is 6.3: the threshold is 0.063, then 0.126.
    close(ranks.feature_rank(values, 40, 0.01), 4.0)
    close(ranks.feature_rank(values, 40, 0.02), 3.0)


@pytest.mark.parametrize("k", [1, 3, 6])
def test_all_ranks_agree_where_singular_values_are_equal(k: int) -> None:
    values = ranks.singular_values(with_values([2.0] * k))
    for rank in (ranks.srank, ranks.pca_rank, ranks.effective_rank, ranks.stable_rank):
        close(rank(values), float(k), rtol=1e-4)
    close(ranks.feature_rank(values, 40), float(k))


def test_only_the_feature_rank_has_a_scale() -> None:
    small, large = (ranks.singular_values(with_values([1.0, 0.05]) * scale) for scale in (1, 100))
    for rank in (ranks.srank, ranks.pca_rank, ranks.effective_rank, ranks.stable_rank):
        torch.testing.assert_close(rank(small), rank(large))
    assert (float(ranks.feature_rank(small, 40)), float(ranks.feature_rank(large, 40))) == (1.0, 2.0)


def test_no_rank_exceeds_the_number_of_singular_values() -> None:
    """However close to nothing may be left out: rounding brings the last share to 1 or just below."""
    values = ranks.singular_values(noise(200, 30, 17))
    assert values.dtype == torch.float32
    assert (ranks.srank(values, 1e-12) == 17).all() and (ranks.pca_rank(values, 1e-12) == 17).all()


def test_srank_and_stable_rank_are_different_things() -> None:
    """What published code calls a stable rank is the first."""
    values = ranks.singular_values(with_values([10.0, 1.0, 1.0, 1.0, 1.0, 1.0]))
    close(ranks.srank(values), 6.0)
    close(ranks.stable_rank(values), 1.05)


def test_ranks_of_nothing_and_of_what_is_not_finite() -> None:
    batch = torch.stack([torch.zeros(7, 3), torch.eye(7, 3), torch.full((7, 3), torch.nan)])
    batch[2, :6] = 1.0
    values = ranks.singular_values(batch)
    for rank in (ranks.srank, ranks.pca_rank, ranks.effective_rank, ranks.stable_rank):
        found = rank(values)
        assert found[:2].tolist() == pytest.approx([0.0, 3.0])
        assert math.isnan(found[2])
    found = ranks.feature_rank(values, 7)
    assert found[:2].tolist() == [0.0, 3.0]
    assert math.isnan(found[2])


# Norms, features, policies ----------------------------------------------------------------------------------------


def test_norms_are_over_all_tensors_of_a_seed() -> None:
    tensors = [torch.tensor([[3.0], [1.0]]), torch.tensor([[[0.0, 4.0]], [[2.0, 2.0]]])]
    close(norm(tensors), [5.0, 3.0])
    close(squared_norm(tensors), [25.0, 9.0])


def test_effective_rates_are_a_layers_and_weighted_by_its_entries() -> None:
    parameters = {
        "a.weight": torch.tensor([[3.0, 0.0, 0.0]]),
        "a.bias": torch.tensor([[4.0]]),
        "b.0.scale": torch.tensor([[2.0]]),
        "c.bias": torch.tensor([[0.0, 0.0]]),
    }
    gradients = {
        "a.weight": torch.tensor([[0.0, 6.0, 0.0]]),
        "a.bias": torch.tensor([[8.0]]),
        "b.0.scale": torch.tensor([[1.0]]),
        "c.bias": torch.tensor([[1.0, 0.0]]),
    }
    assert layers(parameters) == {"a": ["a.weight", "a.bias"], "b.0": ["b.0.scale"], "c": ["c.bias"]}
    rates = effective_rates(gradients, parameters)
    close(rates, [[2.0], [0.5], [math.inf]])
    close(weighted_mean(rates, parameters), [(4 * 2.0 + 1 * 0.5) / 5])  # The layer of zeros has no rate.


def test_feature_norm_and_dot() -> None:
    features = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    following = torch.tensor([[1.0, 0.0], [5.0, -3.0]])
    close(feature_norm(features), 3.0)
    close(feature_dot(features, following), 0.0)  # (3 - 3) / 2, no cosine.
    close(feature_dot(features, features), 13.0)


def test_churn_counts_states_of_discrete_actions_and_measures_continuous_ones() -> None:
    before, after = torch.tensor([[0, 1, 2, 2]]), torch.tensor([[0, 2, 2, 1]])
    close(churn(before, after), [0.5])
    moved = torch.tensor([[[0.0, 0.0], [1.0, 1.0]]]) + torch.tensor([[[3.0, 4.0], [0.0, 1.0]]])
    close(churn(torch.tensor([[[0.0, 0.0], [1.0, 1.0]]]), moved), [3.0])


# Gradients and curvature ------------------------------------------------------------------------------------------


def test_gradient_cosines() -> None:
    gradients = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [0.0, 0.0]])
    matrix = cosines(gradients)
    expected = [[1, 1, 0, -1, 0], [1, 1, 0, -1, 0], [0, 0, 1, 0, 0], [-1, -1, 0, 1, 0], [0, 0, 0, 0, 0]]
    close(matrix, expected)
    magnitude, mean = interference(matrix)
    close(magnitude, 6 / 20)
    close(mean, -2 / 20)


def test_interference_of_a_linear_model_is_that_of_its_inputs() -> None:
    """The gradient of (w x - y)^2 is along x: its cosines are those of the inputs, with the errors' signs."""
    x, y, w = noise(6, 4), noise(6, seed=1), noise(4, seed=2)
    signs = torch.sign(x @ w - y)
    rows = 2 * (x @ w - y)[:, None] * x
    unit = x / x.norm(dim=1, keepdim=True)
    torch.testing.assert_close(cosines(rows), (unit @ unit.T) * signs[:, None] * signs)
    assert flat([noise(2, 3, 4), noise(2, 5)]).shape == (2, 17)


def symmetric(size: int, seed: int) -> Tensor:
    matrix = noise(size, size, seed=seed)
    return (matrix + matrix.T) / 2


def lanczos(matrices: Tensor, iterations: int, seed: int = 3) -> Tensor:
    """Of matrices ``[S, n, n]``, through vectors of two tensors."""
    size = matrices.shape[-1]

    def split(vector: Tensor) -> list[Tensor]:
        return [vector[:, :2], vector[:, 2:, None]]

    def product(vector: list[Tensor]) -> list[Tensor]:
        whole = torch.cat([vector[0], vector[1][..., 0]], 1)
        return split((matrices @ whole[..., None])[..., 0])

    return largest_eigenvalue(product, split(noise(len(matrices), size, seed=seed)), iterations)


def test_the_largest_eigenvalue_of_each_seeds_matrix() -> None:
    matrices = torch.stack([symmetric(8, 0), symmetric(8, 1) * 100, -symmetric(8, 2) @ symmetric(8, 2)])
    exact = torch.linalg.eigvalsh(matrices.double())[:, -1]
    torch.testing.assert_close(lanczos(matrices, 8), exact, rtol=1e-3, atol=1e-3)
    # Algebraically largest: the third matrix is negative throughout. More iterations than dimensions do no harm.
    assert exact[2] <= 1e-6
    torch.testing.assert_close(lanczos(matrices, 40), exact, rtol=1e-3, atol=1e-3)


def test_few_iterations_bound_the_eigenvalue_from_below() -> None:
    matrix = symmetric(60, 5)[None]
    exact = torch.linalg.eigvalsh(matrix.double())[:, -1]
    found = [float(lanczos(matrix, iterations)) for iterations in (1, 2, 5, 15, 30)]
    assert found == sorted(found)
    start = noise(1, 60, seed=3)[0]
    assert found[0] == pytest.approx(float(start @ matrix[0] @ start / (start @ start)), rel=1e-4)
    assert found[-1] == pytest.approx(float(exact), rel=1e-3)


def test_eigenvalues_where_one_product_tells_all() -> None:
    """Multiples of the identity, the zero matrix, and one that is not finite."""
    matrices = torch.stack([-2 * torch.eye(5), torch.zeros(5, 5), torch.full((5, 5), torch.nan)])
    found = lanczos(matrices, 6)
    assert found[:2].tolist() == pytest.approx([-2.0, 0.0])
    assert math.isnan(found[2])
