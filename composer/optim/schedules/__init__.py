"""Schedules: numbers that may change while a network learns."""

from composer.optim.schedules.base import Constant, Linear, Schedule, highest, lowest
from composer.optim.schedules.bounded import Bounded, NonNegative, Positive, Share
from composer.optim.schedules.curves import Cosine, Exponential, Warmup
from composer.optim.schedules.each_phase import EachPhase
from composer.optim.schedules.in_turn import InTurn
from composer.optim.schedules.periodic import Periodic

__all__ = [
    "Bounded",
    "Constant",
    "Cosine",
    "EachPhase",
    "Exponential",
    "InTurn",
    "Linear",
    "NonNegative",
    "Periodic",
    "Positive",
    "Schedule",
    "Share",
    "Warmup",
    "highest",
    "lowest",
]
