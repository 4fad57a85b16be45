"""Batch renorm. Source: Ioffe, arXiv:1702.03275.

Spec: composer/networks/blocks/batch_norm.py.
Tests: tests/papers/test_batch_statistics.py.
"""

from __future__ import annotations

import torch
from torch import Tensor

from composer.networks.modules.batch_statistics import BatchStatistics

SMALLEST = 1e-30
"""Of variances under a root: of features that are the same in the whole batch."""


class BatchRenorm(BatchStatistics):
    """Batch norm whose training output is corrected towards that of evaluation mode. Keeps the shape."""

    steps: Tensor

    def __init__(
        self,
        features: int,
        trailing: int = 0,
        epsilon: float = 1e-3,
        momentum: float = 0.99,
        affine: bool = True,
        r_max: float = 3.0,
        d_max: float = 5.0,
        warm_up: int = 100_000,
        corrects_moments: bool = False,
    ) -> None:
        """``r_max`` and ``d_max`` bound the correction after ``warm_up`` training passes; before there is none.

        ``corrects_moments`` corrects mean and variance, and then adds ``epsilon`` to the variance.
        """
        super().__init__(features, trailing, epsilon, momentum, affine)
        self.r_max, self.d_max, self.warm_up, self.corrects_moments = r_max, d_max, warm_up, corrects_moments
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """The normalised input; in training mode the running statistics take the batch in."""
        if not self.training:
            return self.transformed(self.standardised(x, self.running_mean, self.running_var))
        mean, variance, _ = self.moments(x)
        r, d = self._correction(mean.detach(), variance.detach())
        if self.corrects_moments:
            # The deviation is cut above 0, where its gradient would be infinite.
            deviation = variance.clamp_min(SMALLEST).sqrt()
            y = self.standardised(x, mean - d * deviation / r, variance / r.square())
        else:
            y = self.standardised(x, mean, variance) * self.along(r) + self.along(d)
        self.follow(mean, variance)
        self.steps.add_(1)
        return self.transformed(y)

    def _correction(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        # Section 3: with r and d unclipped, the training output is what evaluation mode gives.
        running = (self.running_var + self.epsilon).sqrt()
        is_open = self.steps >= self.warm_up
        r_max = torch.where(is_open, self.r_max, 1.0)
        d_max = torch.where(is_open, self.d_max, 0.0)
        r = ((variance + self.epsilon).sqrt() / running).clamp(1 / r_max, r_max)
        d = ((mean - self.running_mean) / running).clamp(-d_max, d_max)
        return r, d
