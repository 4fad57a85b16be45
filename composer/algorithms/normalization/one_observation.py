"""Maps of one observation that keep no state. Tests: tests/papers/test_observation_norms.py."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from typing_extensions import override

from composer.algorithms.normalization.normalizer import Normalizer


class Stateless(Normalizer):
    """A map of observations, each for itself."""

    def __init__(self, size: int, of_vectors: Callable[[Tensor], Tensor]) -> None:
        """``of_vectors`` maps float32 ``[..., size]`` to the same shape."""
        super().__init__(size)
        self._of_vectors = of_vectors

    @override
    def normalise(self, values: Tensor) -> Tensor:
        return self._of_vectors(values.flatten(2).float()).view(values.shape)

    @override
    def of_seed(self, seed: slice) -> nn.Module:
        return Mapped(self._of_vectors)


class Mapped(nn.Module):
    """``Stateless.normalise`` of one seed: ``[n, ...]`` kept."""

    def __init__(self, of_vectors: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._of_vectors = of_vectors

    @override
    def forward(self, seen: Tensor) -> Tensor:
        return self._of_vectors(seen.flatten(1).float()).view(seen.shape)


def layer_norm(vectors: Tensor, epsilon: float) -> Tensor:
    """Zero mean and unit population variance over the last axis, ``epsilon`` inside the root."""
    return nn.functional.layer_norm(vectors, vectors.shape[-1:], eps=epsilon)
