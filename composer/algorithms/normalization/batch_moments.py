"""Observations normalised by the moments of their minibatch: batch norm and batch renorm, without gain and shift.

Legend: S seeds. Tests: tests/papers/test_observation_norms.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from typing_extensions import override

from composer.algorithms.normalization.normalizer import Moments

if TYPE_CHECKING:
    from composer.algorithms.normalization.normalizer import Normalised


class BatchMoments(Moments):
    """An update sees a minibatch by its own moments; acting and evaluations see by moments that follow them."""

    def __init__(self, seeds: int, size: int, epsilon: float, momentum: float, device: str) -> None:
        """``momentum`` is the share of the followed moments kept at an update."""
        super().__init__(seeds, size, epsilon, device)
        self.momentum = momentum

    @override
    @torch.no_grad()
    def of_minibatch(self, observation: Tensor, following: Tensor, moves: bool = True) -> Normalised:
        """By the moments of current and next observations together, each entry for itself."""
        both = torch.cat([observation.flatten(2), following.flatten(2)], 1).double()
        variance, mean = torch.var_mean(both, 1, correction=0)
        factor, shift = self._affine(mean, variance)
        if moves:
            self.mean.lerp_(mean, 1 - self.momentum)
            self.variance.lerp_(variance, 1 - self.momentum)
            self._count()

        def normalised(values: Tensor) -> Tensor:
            seen = (values.flatten(2).double() - mean[:, None]) * factor[:, None]
            return (seen if shift is None else seen + shift[:, None]).float().view(values.shape)

        return normalised

    def _affine(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor | None]:
        """What centred values are multiplied by, and what is added then, ``[S, size]``, by moments of the minibatch."""
        return (variance + self.epsilon).rsqrt(), None

    def _count(self) -> None:
        """Count an update."""


class RenormMoments(BatchMoments):
    """Batch norm whose map of a minibatch is corrected towards the one that acts."""

    def __init__(
        self,
        seeds: int,
        size: int,
        epsilon: float,
        momentum: float,
        device: str,
        r_max: float,
        d_max: float,
        warm_up: int,
    ) -> None:
        """``r_max`` and ``d_max`` bound the correction after ``warm_up`` updates; before there is none."""
        super().__init__(seeds, size, epsilon, momentum, device)
        self.steps = torch.zeros(seeds, 1, dtype=torch.float64, device=device)
        self.r_max, self.d_max, self.warm_up = r_max, d_max, warm_up

    @override
    def tensors(self) -> Mapping[str, Tensor]:
        return {**super().tensors(), "steps": self.steps}

    @override
    def _affine(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor | None]:
        # Section 3 of arXiv:1702.03275: with r and d unclipped, this is the map by the followed moments.
        followed, deviation = (self.variance + self.epsilon).sqrt(), (variance + self.epsilon).sqrt()
        is_open = self.steps >= self.warm_up
        r_max, d_max = torch.where(is_open, self.r_max, 1.0), torch.where(is_open, self.d_max, 0.0)
        r = (deviation / followed).clamp(1 / r_max, r_max)
        return r / deviation, ((mean - self.mean) / followed).clamp(-d_max, d_max)

    @override
    def _count(self) -> None:
        self.steps.add_(1)
