"""Batch norm. Source: Ioffe and Szegedy, arXiv:1502.03167. Tests: tests/papers/test_batch_statistics.py."""

from __future__ import annotations

from torch import Tensor

from composer.networks.modules.batch_statistics import BatchStatistics


class BatchNorm(BatchStatistics):
    """Unit moments of each feature over a batch; by the running moments in evaluation mode. Keeps the shape."""

    def __init__(
        self,
        features: int,
        trailing: int = 0,
        epsilon: float = 1e-5,
        momentum: float = 0.9,
        affine: bool = True,
        unbiased: bool = False,
    ) -> None:
        """``unbiased`` has the running variance follow the batch's variance with Bessel's correction."""
        super().__init__(features, trailing, epsilon, momentum, affine)
        self.unbiased = unbiased

    def forward(self, x: Tensor) -> Tensor:
        """The normalised input; in training mode the running statistics take the batch in."""
        if not self.training:
            return self.transformed(self.standardised(x, self.running_mean, self.running_var))
        mean, variance, count = self.moments(x)
        # One entry has no unbiased variance: its variance of 0 is kept.
        self.follow(mean, variance * (count / max(count - 1, 1)) if self.unbiased else variance)
        return self.transformed(self.standardised(x, mean, variance))
