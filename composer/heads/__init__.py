"""Heads: what a network returns. Importing this package registers every kind; none of it imports torch."""

from composer.heads.base import Head, head_giving
from composer.heads.categorical_policy import CategoricalPolicy
from composer.heads.categorical_value import CategoricalValue
from composer.heads.classifier import Classifier
from composer.heads.deterministic_tanh import DeterministicTanh
from composer.heads.discrete_value import DiscreteValue
from composer.heads.dueling import Dueling
from composer.heads.features import Features
from composer.heads.gaussian_policy import GaussianPolicy
from composer.heads.implicit_quantile import ImplicitQuantile
from composer.heads.quantile import Quantile
from composer.heads.scalar import Scalar
from composer.heads.tanh_gaussian import TanhGaussian

__all__ = [
    "CategoricalPolicy",
    "CategoricalValue",
    "Classifier",
    "DeterministicTanh",
    "DiscreteValue",
    "Dueling",
    "Features",
    "GaussianPolicy",
    "Head",
    "ImplicitQuantile",
    "Quantile",
    "Scalar",
    "TanhGaussian",
    "head_giving",
]
