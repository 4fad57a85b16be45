"""Data sets: labelled samples for supervised learning. Importing this package registers every kind; none loads data."""

from composer.datasets.base import Data, Samples
from composer.datasets.bits import Bits
from composer.datasets.digits import Digits
from composer.datasets.noise import Noise

__all__ = ["Bits", "Data", "Digits", "Noise", "Samples"]
