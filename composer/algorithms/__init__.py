"""Algorithms: which networks there are, what each minimises, and how actions are chosen."""

from composer.algorithms.base import Algorithm
from composer.algorithms.discount import Constant, Discount, EpisodeLength, Lengthening
from composer.algorithms.sac import SAC
from composer.algorithms.supervised import Supervised

__all__ = ["SAC", "Algorithm", "Constant", "Discount", "EpisodeLength", "Lengthening", "Supervised"]
