"""Bounds of the schedules that a field accepts. Tests: tests/optim/test_schedules.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, InitErrorDetails, core_schema

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
        """``schedule`` itself; raises a ValidationError, at the value that leaves the bounds, where one does."""
        low, high = schedule.bounds()
        if low < self.above:
            raise _refusal(f"must be > {self.above:g}, got {low:g}", schedule.holder(low))
        if high <= self.above:
            # Any of its values might exceed the bound: none is the wrong one.
            raise _refusal(f"must be > {self.above:g}, got {low:g}", ())
        if low < self.low and self.high == math.inf:
            raise _refusal(f"must be >= {self.low:g}, got {low:g}", schedule.holder(low))
        if not self.low <= low <= high <= self.high:
            found = f"{low:g} to {high:g}" if high > low else f"{low:g}"
            outside = low if low < self.low else high
            raise _refusal(f"must be in {self.low:g} to {self.high:g}, got {found}", schedule.holder(outside))
        if self.whole and low == high and low != round(low):
            raise _refusal(f"must be a whole number, got {low:g}", schedule.holder(low))
        return schedule


def _refusal(message: str, path: tuple[str | int, ...]) -> ValidationError:
    error = InitErrorDetails(type="value_error", loc=path, input=None, ctx={"error": ValueError(message)})
    return ValidationError.from_exception_data("Schedule", [error])


Share = Annotated[Schedule, Bounded(0, 1)]
"""A number from 0 to 1, or a schedule within."""
Positive = Annotated[Schedule, Bounded(above=0)]
"""A number greater than 0, or a schedule of such numbers that may begin or end at 0."""
NonNegative = Annotated[Schedule, Bounded(0)]
"""A number that is 0 or greater, or a schedule of such numbers."""
