"""Diagnostics: measures of the networks of a run. Importing this package registers every kind, without torch."""

from composer.diagnostics.base import Diagnostic, Diagnostics
from composer.diagnostics.curvature import Curvature
from composer.diagnostics.features import FeatureDot, FeatureNorm, Rank
from composer.diagnostics.gradients import GradientCovariance
from composer.diagnostics.norms import DistanceToInit, EffectiveLearningRate, GradientNorm, ParameterNorm
from composer.diagnostics.policy import PolicyChurn
from composer.diagnostics.trainability import Trainability
from composer.diagnostics.units import DeadUnits, Dormant, ZeroActivations

__all__ = [
    "Curvature",
    "DeadUnits",
    "Diagnostic",
    "Diagnostics",
    "DistanceToInit",
    "Dormant",
    "EffectiveLearningRate",
    "FeatureDot",
    "FeatureNorm",
    "GradientCovariance",
    "GradientNorm",
    "ParameterNorm",
    "PolicyChurn",
    "Rank",
    "Trainability",
    "ZeroActivations",
]
