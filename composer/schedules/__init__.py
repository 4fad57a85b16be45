"""Schedules: numbers that may change while a network learns."""

from composer.schedules.base import Constant, Linear, Schedule
from composer.schedules.curves import Exponential, Warmup
from composer.schedules.periodic import Periodic

__all__ = ["Constant", "Exponential", "Linear", "Periodic", "Schedule", "Warmup"]
