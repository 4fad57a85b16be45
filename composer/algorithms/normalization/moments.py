"""Running moments of vectors, in float64 and in place. Tests: tests/papers/test_rs_norm.py."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from typing_extensions import override

from composer.algorithms.normalization.normalizer import Moments


class RunningMoments(Moments):
    """Mean and population variance ``[seeds, size]`` of everything observed so far, for each seed.

    Batches are merged by Chan's parallel formula. Source: SimBa's RSNorm, arXiv:2410.09754; starting values as in the
    published code (mean 0, variance 1, weight 1e-4).
    """

    def __init__(self, seeds: int, size: int, epsilon: float = 1e-8, device: str = "cpu") -> None:
        """``epsilon`` is added to the variance inside the root."""
        super().__init__(seeds, size, epsilon, device)
        self.weight = torch.full((seeds, 1), 1e-4, dtype=torch.float64, device=device)

    @override
    @torch.no_grad()
    def observe(self, values: Tensor) -> None:
        """Add ``values [seeds, n, ...]`` of ``size`` entries each to the statistics, in place."""
        values = values.flatten(2).double()
        count = values.shape[1]
        batch_mean = values.mean(1)
        batch_variance = values.var(1, correction=0)
        total = self.weight + count
        delta = batch_mean - self.mean
        squares = self.variance * self.weight + batch_variance * count + delta.square() * (self.weight * count / total)
        self.mean.add_(delta * (count / total))
        self.variance.copy_(squares / total)
        self.weight.copy_(total)

    @override
    def count_data(self, batches: Iterable[Tensor]) -> None:
        for values in batches:
            self.observe(values.expand(len(self.mean), *values.shape[1:]))

    @override
    def tensors(self) -> dict[str, Tensor]:
        return {"mean": self.mean, "variance": self.variance, "weight": self.weight}


class DataMoments(Moments):
    """The moments of a data set, which nothing else moves: ``(o - mean) / (deviation + epsilon)``."""

    def __init__(self, seeds: int, size: int, epsilon: float, device: str = "cpu") -> None:
        """Begins at mean 0 and variance 1; ``epsilon`` is added to the deviation."""
        super().__init__(seeds, size, 0.0, device)
        self._added = epsilon

    @override
    def count_data(self, batches: Iterable[Tensor]) -> None:
        """``variance`` becomes the square of the deviation and ``epsilon``."""
        found = RunningMoments(len(self.mean), self.size, device=str(self.mean.device))
        found.weight.zero_()
        found.count_data(batches)
        self.mean.copy_(found.mean)
        self.variance.copy_((found.variance.sqrt() + self._added).square())
