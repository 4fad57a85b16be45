"""Norms of features, and similarity of the features of consecutive states.

Tests: tests/papers/test_measures.py. Legend: n samples, d features.
"""

from __future__ import annotations

from torch import Tensor


def feature_norm(features: Tensor) -> Tensor:
    """Mean over samples of the Euclidean norm, ``[..., n, d] -> [...]``."""
    norm: Tensor = features.norm(dim=-1).mean(-1)
    return norm


def feature_dot(features: Tensor, following: Tensor) -> Tensor:
    """Mean over samples of the dot product of two rows, ``[..., n, d] -> [...]``; a dot product, no cosine.

    Source: Kumar et al., "DR3", arXiv:2112.04716: features of (s, a) with those of (s', a').
    """
    return (features * following).sum(-1).mean(-1)
