"""Bounds of the schedules that a field accepts. Tests: tests/optim/test_schedules.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from composer.optim.schedules.base import Schedule


@dataclass(frozen=True)
class Bounded:
    """Annotation of a field: every value that the schedule takes is within these bounds.

    ``Annotated[Schedule, Bounded(0, 1)]`` accepts 0 to 1; ``Bounded(above=0)`` accepts numbers greater than 0, and
    schedules that begin or end at 0.
    """

    low: float = -math.inf
    """The least value that is accepted."""
    high: float = math.inf
    """The greatest value that is accepted."""
    above: float = -math.inf
    """A bound that a constant has to exceed; a schedule has to exceed it somewhere, and may reach it."""
    whole: bool = False
    """Whether a constant has to be a whole number."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """That of the schedule, checked afterwards."""
        check: Callable[[Schedule], Schedule] = self.checked
        return core_schema.no_info_after_validator_function(check, handler(source))

    def checked(self, schedule: Schedule) -> Schedule:
        """``schedule`` itself; raises ValueError where it leaves the bounds."""
        low, high = schedule.bounds()
        if low < self.above or high <= self.above:
            raise ValueError(f"must be > {self.above:g}, got {low:g}")
        if low < self.low and self.high == math.inf:
            raise ValueError(f"must be >= {self.low:g}, got {low:g}")
        if not self.low <= low <= high <= self.high:
            found = f"{low:g} to {high:g}" if high > low else f"{low:g}"
            raise ValueError(f"must be in {self.low:g} to {self.high:g}, got {found}")
        if self.whole and low == high and low != round(low):
            raise ValueError(f"must be a whole number, got {low:g}")
        return schedule


Share = Annotated[Schedule, Bounded(0, 1)]
"""A number from 0 to 1, or a schedule within."""
Positive = Annotated[Schedule, Bounded(above=0)]
"""A number greater than 0, or a schedule of such numbers that may begin or end at 0."""
NonNegative = Annotated[Schedule, Bounded(0)]
"""A number that is 0 or greater, or a schedule of such numbers."""
