"""Penalties of networks. Importing this package registers every kind."""

from composer.optim.penalties.base import Penalty
from composer.optim.penalties.features import Dr3, FeatureNorm, FeaturePenalty, FeatureRank
from composer.optim.penalties.weights import L2, L2Init, Parseval, Spectral, Wasserstein

__all__ = [
    "L2",
    "Dr3",
    "FeatureNorm",
    "FeaturePenalty",
    "FeatureRank",
    "L2Init",
    "Parseval",
    "Penalty",
    "Spectral",
    "Wasserstein",
]
