"""Schedules: numbers that may change while a network learns."""

from composer.schedules.base import Constant, Linear, Schedule

__all__ = ["Constant", "Linear", "Schedule"]
