"""A map of observations that leaves their last entries as they are. Tests: tests/papers/test_observation_norms.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from typing_extensions import override

from composer.algorithms.normalization.normalizer import Normalizer

if TYPE_CHECKING:
    from composer.algorithms.normalization.normalizer import Normalised


class ExceptLast(Normalizer):
    """The map ``within`` of all entries of a vector but the last ``kept``, such as those of a skill."""

    def __init__(self, within: Normalizer, kept: int) -> None:
        """``within`` is a map of vectors that are ``kept`` entries shorter."""
        super().__init__(within.size + kept)
        self._within, self._kept = within, kept

    @override
    def observe(self, values: Tensor) -> None:
        self._within.observe(values[..., : -self._kept])

    @override
    def count_data(self, batches: Iterable[Tensor]) -> None:
        self._within.count_data(values[..., : -self._kept] for values in batches)

    @override
    def normalise(self, values: Tensor) -> Tensor:
        return self._joined(self._within.normalise, values)

    @override
    def of_minibatch(self, observation: Tensor, following: Tensor, moves: bool = True) -> Normalised:
        now, then = (values[..., : -self._kept] for values in (observation, following))
        seen = self._within.of_minibatch(now, then, moves)
        return lambda values: self._joined(seen, values)

    @override
    def of_seed(self, seed: slice) -> nn.Module:
        return KeepingLast(self._within.of_seed(seed), self._kept)

    @override
    def tensors(self) -> Mapping[str, Tensor]:
        return self._within.tensors()

    def _joined(self, of_vectors: Normalised, values: Tensor) -> Tensor:
        return torch.cat([of_vectors(values[..., : -self._kept]), values[..., -self._kept :].float()], -1)


class KeepingLast(nn.Module):
    """``ExceptLast.normalise`` of one seed: ``[n, d]`` kept."""

    def __init__(self, within: nn.Module, kept: int) -> None:
        super().__init__()
        self.within, self._kept = within, kept

    @override
    def forward(self, seen: Tensor) -> Tensor:
        return torch.cat([self.within(seen[:, : -self._kept]), seen[:, -self._kept :].float()], -1)
