"""What normalises observations for every network of an agent. Tests: tests/papers/test_observation_norms.py."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from typing_extensions import override

if TYPE_CHECKING:
    Normalised = Callable[[Tensor], Tensor]
    """A map of raw observations ``[S, n, ...]`` to float32 of the same shape."""


class Normalizer(ABC):
    """A map of raw observations, ``[S, n, ...]`` of ``size`` entries each, and its state. Legend: S seeds."""

    def __init__(self, size: int) -> None:
        """``size`` counts the entries of an observation."""
        self.size = size

    def observe(self, values: Tensor) -> None:  # noqa: B027 - most count no environment step
        """Take raw observations ``[S, n, ...]`` of an environment step into the state, in place."""

    def count_data(self, batches: Iterable[Tensor]) -> None:  # noqa: B027 - most count none
        """Take a whole data set, which all seeds learn from, into the state: raw batches ``[1, n, ...]``."""

    @abstractmethod
    def normalise(self, values: Tensor) -> Tensor:
        """Raw observations ``[S, n, ...]`` as acting and evaluations see them, float32."""

    def of_minibatch(self, observation: Tensor, following: Tensor, moves: bool = True) -> Normalised:
        """The map under which an update sees a minibatch of raw observations and next observations.

        Where ``moves``, the state follows the minibatch, in place.
        """
        return self.normalise

    @abstractmethod
    def of_seed(self, seed: slice) -> nn.Module:
        """``normalise`` of one seed alone, ``[n, ...]`` to ``[n, ...]``, with a copy of the state."""

    def tensors(self) -> Mapping[str, Tensor]:
        """The state by name, not copies."""
        return MappingProxyType({})


class Moments(Normalizer):
    """``(o - mean) / sqrt(variance + epsilon)`` by a mean and a variance for each entry, float64 ``[S, size]``."""

    def __init__(self, seeds: int, size: int, epsilon: float, device: str) -> None:
        """Begins at mean 0 and variance 1."""
        super().__init__(size)
        self.mean = torch.zeros(seeds, size, dtype=torch.float64, device=device)
        self.variance = torch.ones(seeds, size, dtype=torch.float64, device=device)
        self.epsilon = epsilon

    @override
    def normalise(self, values: Tensor) -> Tensor:
        centred = values.flatten(2).double() - self.mean[:, None]
        return (centred / (self.variance + self.epsilon).sqrt()[:, None]).float().view(values.shape)

    @override
    def of_seed(self, seed: slice) -> nn.Module:
        return Standardised(self.mean[seed].clone(), self.variance[seed].clone(), self.epsilon)

    @override
    def tensors(self) -> Mapping[str, Tensor]:
        return {"mean": self.mean, "variance": self.variance}


class Standardised(nn.Module):
    """``Moments.normalise`` of one seed: ``[n, ...]`` by moments ``[1, d]``."""

    mean: Tensor
    variance: Tensor

    def __init__(self, mean: Tensor, variance: Tensor, epsilon: float) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("variance", variance)
        self.epsilon = epsilon

    @override
    def forward(self, seen: Tensor) -> Tensor:
        centred = seen.flatten(1).double() - self.mean
        return (centred / (self.variance + self.epsilon).sqrt()).float().view(seen.shape)
