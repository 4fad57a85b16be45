"""Scales of rewards from running statistics of discounted returns, float64 and in place.

Legend: S seeds, E environments of a seed. Tests: tests/papers/test_reward_scaling.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from composer.algorithms.normalization.moments import RunningMoments
from composer.optim.hyperparameters import Hyperparameters


class RunningReturns(ABC):
    """The discounted return so far of every environment, and the moments of all that these have been.

    Rewards are divided and never centred, so that a scaled sum is the sum of the scaled.
    """

    def __init__(
        self,
        hyperparameters: Hyperparameters,
        environments: int,
        discount: Tensor,
        epsilon: float,
        clip: float | None = None,
    ) -> None:
        """``discount [S]`` of one interaction is held, not copied; ``epsilon`` is added to the variance."""
        seeds, device = hyperparameters.seeds, str(hyperparameters.device)
        self.moments = RunningMoments(seeds, 1, epsilon, device)
        self.returns = torch.zeros(seeds, environments, dtype=torch.float64, device=device)
        self._discount, self._clip = discount, clip
        self._epsilon = hyperparameters.number(epsilon, dtype=torch.float64)

    @abstractmethod
    def observe(self, reward: Tensor, terminated: Tensor, truncated: Tensor) -> None:
        """Take in what one interaction gave, ``[S, E]`` each."""

    @abstractmethod
    def scale(self) -> Tensor:
        """What rewards are multiplied by at this moment, float32 ``[S]``."""

    def scaled(self, reward: Tensor) -> Tensor:
        """Single rewards ``[S, ...]`` times ``scale()``, clipped where that is declared."""
        scaled = reward * self.scale().view(-1, *[1] * (reward.ndim - 1))
        return scaled if self._clip is None else scaled.clamp(-self._clip, self._clip)

    def tensors(self) -> dict[str, Tensor]:
        """The state by name, the very tensors."""
        return {"returns": self.returns, **self.moments.tensors()}

    def deviation(self) -> Tensor:
        """``sqrt(variance + epsilon)``, float64 ``[S]``."""
        return (self.moments.variance[:, 0] + self._epsilon).sqrt()


class ReturnScale(RunningReturns):
    """``r / sqrt(var(G) + epsilon)``, where G is 0 again after the last reward of an episode."""

    @torch.no_grad()
    def observe(self, reward: Tensor, terminated: Tensor, truncated: Tensor) -> None:
        """``G = discount G + r`` is counted; then an episode that ended leaves 0."""
        self.returns.mul_(self._discount[:, None]).add_(reward)
        self.moments.observe(self.returns[..., None])
        self.returns.masked_fill_(terminated | truncated, 0.0)

    def scale(self) -> Tensor:
        """Of the variance alone."""
        return self.deviation().reciprocal().float()


class BoundedScale(RunningReturns):
    """``r / max(sqrt(var(G) + epsilon), max|G| / bound)``: scaled returns stay within the bound."""

    def __init__(
        self, hyperparameters: Hyperparameters, environments: int, discount: Tensor, epsilon: float, bound: float
    ) -> None:
        """``bound`` is the largest size of a scaled return."""
        super().__init__(hyperparameters, environments, discount, epsilon)
        self.largest = torch.zeros_like(discount, dtype=torch.float64)
        self._bound = hyperparameters.number(bound, dtype=torch.float64)

    @torch.no_grad()
    def observe(self, reward: Tensor, terminated: Tensor, truncated: Tensor) -> None:
        """``G = discount (1 - done) G + r`` is counted: the last reward of an episode stands alone."""
        goes_on = ~(terminated | truncated)
        self.returns.mul_(self._discount[:, None] * goes_on).add_(reward)
        self.moments.observe(self.returns[..., None])
        self.largest.copy_(torch.maximum(self.largest, self.returns.abs().amax(1)))

    def scale(self) -> Tensor:
        """Of the variance, or of the largest return."""
        return torch.maximum(self.deviation(), self.largest / self._bound).reciprocal().float()

    def tensors(self) -> dict[str, Tensor]:
        """With the largest ``|G|`` so far."""
        return {**super().tensors(), "largest": self.largest}
