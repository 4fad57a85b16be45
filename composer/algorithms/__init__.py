"""Algorithms: which networks there are, what each minimises, and how actions are chosen."""

from composer.algorithms.base import Algorithm
from composer.algorithms.discount import Discount
from composer.algorithms.sac import SAC
from composer.algorithms.supervised import Supervised

__all__ = ["SAC", "Algorithm", "Discount", "Supervised"]
