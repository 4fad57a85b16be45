"""The curve of the headline of one run, as far as it is known: its area and its best value."""

from __future__ import annotations

import math


class RunningCurve:
    """Takes the values of a curve in the order of their steps."""

    def __init__(self) -> None:
        self._first = self._last = 0
        self._value: float | None = None
        self._weighted = 0.0
        self.area = math.nan
        """Area by trapezoids divided by the length of the curve; NaN from a value on that is not finite."""
        self.best = -math.inf
        """The highest finite value; minus infinity before the first one."""

    def add(self, step: int, value: float) -> None:
        """Continue the curve; ``step`` is later than all before."""
        if self._value is None:
            self._first, self.area = step, value
        else:
            self._weighted += (step - self._last) * (self._value / 2 + value / 2)
            self.area = self._weighted / (step - self._first)
        self._last, self._value = step, value
        if math.isfinite(value):
            self.best = max(self.best, value)
