"""Heads of networks. Importing this package registers every kind; none of it imports torch."""

from composer.networks.heads.action_shift import ActionShift
from composer.networks.heads.base import Head, head_giving, heads_giving
from composer.networks.heads.bounded_normal import BoundedNormal
from composer.networks.heads.categorical_policy import CategoricalPolicy
from composer.networks.heads.categorical_value import CategoricalValue
from composer.networks.heads.classifier import Classifier
from composer.networks.heads.deterministic_tanh import DeterministicTanh
from composer.networks.heads.discrete_value import DiscreteValue
from composer.networks.heads.dueling import Dueling
from composer.networks.heads.features import Features
from composer.networks.heads.gaussian_policy import GaussianPolicy
from composer.networks.heads.implicit_quantile import ImplicitQuantile
from composer.networks.heads.linear_action import LinearAction
from composer.networks.heads.quantile import Quantile
from composer.networks.heads.scalar import Scalar
from composer.networks.heads.tanh_gaussian import TanhGaussian
from composer.networks.heads.two_hot_value import TwoHotValue

__all__ = [
    "ActionShift",
    "BoundedNormal",
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
    "LinearAction",
    "Quantile",
    "Scalar",
    "TanhGaussian",
    "TwoHotValue",
    "head_giving",
    "heads_giving",
]
