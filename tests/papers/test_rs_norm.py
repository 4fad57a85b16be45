"""Running-statistics normalisation against float64 numpy: equations 2 to 4 of arXiv:2410.09754, and Chan's merging."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from composer.algorithms.normalization.moments import RunningMoments
from composer.algorithms.normalization.spec import RSNorm

START_WEIGHT = 1e-4


def stream(*shape: int, seed: int = 0) -> np.ndarray:
    """Float32 observations whose coordinates differ in place and scale, as those of simulators do."""
    draws = np.random.default_rng(seed).normal(size=shape)
    return (draws * np.logspace(-2, 2, shape[-1]) + np.linspace(-50, 50, shape[-1])).astype(np.float32)


def one_at_a_time(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Welford's recursion as the paper prints it, from mean 0, variance 1 and a weight of 1e-4 observations."""
    weight, mean, variance = START_WEIGHT, np.zeros(values.shape[-1]), np.ones(values.shape[-1])
    for value in values.astype(np.float64):
        weight += 1
        delta = value - mean
        mean = mean + delta / weight
        variance = (weight - 1) / weight * (variance + delta**2 / weight)
    return mean, variance


def test_one_observation_at_a_time_is_the_papers_recursion() -> None:
    values = stream(500, 5)
    moments = RunningMoments(1, 5)
    for value in values:
        moments.observe(torch.from_numpy(value)[None, None])
    mean, variance = one_at_a_time(values)
    np.testing.assert_allclose(moments.mean[0].numpy(), mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(moments.variance[0].numpy(), variance, rtol=1e-10)
    assert moments.weight.item() == pytest.approx(500 + START_WEIGHT, rel=1e-15)


def test_batches_of_any_size_merge_to_the_moments_of_all_observations() -> None:
    values = stream(400, 4, seed=1)
    moments = RunningMoments(1, 4)
    start = 0
    for size in [1, 7, 64, 3, 125, 200]:
        moments.observe(torch.from_numpy(values[start : start + size])[None])
        start += size
    assert start == len(values)
    # The whole in one formula: the starting values count as 1e-4 observations of mean 0 and variance 1.
    exact, total = values.astype(np.float64), len(values) + START_WEIGHT
    mean = exact.sum(0) / total
    second = ((exact**2).sum(0) + START_WEIGHT) / total
    np.testing.assert_allclose(moments.mean[0].numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(moments.variance[0].numpy(), second - mean**2, rtol=1e-7)


def test_variance_is_that_of_the_population() -> None:
    moments = RunningMoments(1, 1)
    moments.observe(torch.tensor([[[1.0], [3.0]]]))
    assert moments.variance.item() == pytest.approx(1.0, rel=1e-3)  # not 2: divided by n, not by n - 1


def test_before_any_observation_inputs_pass_as_they_are() -> None:
    values = torch.from_numpy(stream(3, 2))[None]
    moments = RSNorm(epsilon=1e-8).build(1, 2, "cpu")
    assert moments.weight.item() == START_WEIGHT
    torch.testing.assert_close(moments.normalise(values), values, rtol=1e-7, atol=0)


def test_normalising_adds_epsilon_inside_the_root_and_clips_nothing() -> None:
    moments = RSNorm(epsilon=0.5).build(1, 1, "cpu")
    moments.mean.fill_(2.0)
    moments.variance.fill_(0.25)
    got = moments.normalise(torch.tensor([[[2.0], [3.0], [1e9]]]))
    expected = (np.array([2.0, 3.0, 1e9]) - 2.0) / np.sqrt(0.25 + 0.5)
    np.testing.assert_allclose(got.flatten().numpy(), expected, rtol=1e-6)
    assert got.dtype == torch.float32


def test_large_offsets_lose_nothing_to_rounding() -> None:
    values = torch.tensor([[[1e6 + 0.25], [1e6 + 0.5], [1e6 + 0.75]]])
    moments = RunningMoments(1, 1)
    for value in values[0]:
        moments.observe(value[None, None])
    # Differences of float32 rounding at 1e6 (0.06) would drown the spread if statistics were kept in float32.
    spread = moments.normalise(values).flatten()
    weight = 3 + START_WEIGHT
    mean = values.double().sum().item() / weight
    variance = moments.variance.item()
    np.testing.assert_allclose(spread.numpy(), (values.flatten().double() - mean) / np.sqrt(variance), rtol=1e-6)


def test_seeds_do_not_see_each_other() -> None:
    values = torch.from_numpy(stream(3, 6, 4, seed=2))
    together = RunningMoments(3, 4)
    for _ in range(3):
        together.observe(values)
    for seed in range(3):
        alone = RunningMoments(1, 4)
        for _ in range(3):
            alone.observe(values[seed : seed + 1])
        for name, tensor in alone.tensors().items():
            assert torch.equal(together.tensors()[name][seed : seed + 1], tensor), name
        torch.testing.assert_close(
            together.normalise(values)[seed : seed + 1], alone.normalise(values[seed : seed + 1]), rtol=0, atol=0
        )


def test_observing_works_in_place() -> None:
    moments = RunningMoments(2, 3)
    before = {name: tensor.data_ptr() for name, tensor in moments.tensors().items()}
    moments.observe(torch.from_numpy(stream(2, 5, 3)))
    assert {name: tensor.data_ptr() for name, tensor in moments.tensors().items()} == before
    assert all(tensor.dtype == torch.float64 for tensor in moments.tensors().values())
