"""Heads: what a network returns. Importing this package registers every kind; none of it imports torch."""

from composer.heads.base import Head
from composer.heads.deterministic_tanh import DeterministicTanh
from composer.heads.scalar import Scalar
from composer.heads.tanh_gaussian import TanhGaussian

__all__ = ["DeterministicTanh", "Head", "Scalar", "TanhGaussian"]
