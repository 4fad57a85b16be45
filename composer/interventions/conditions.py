"""Triggers over one metric: against a number, or against a seed's own past. Tests: tests/interventions/.

A reading is one row of the metric. The past are the readings since the last firing of the intervention, or since the
start of the run; a value that is not finite is no part of it, and ends a row of readings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.interventions.triggers import Condition

Number = Annotated[float, Field(ge=-1e12, le=1e12)]
Readings = Annotated[int, Field(ge=1, le=10_000)]


class OneSided(Condition, abstract=True):
    """A condition with exactly one of ``above`` and ``below``."""

    above: Number | None = None
    """Holds where the metric is greater than this."""
    below: Number | None = None
    """Holds where the metric is less than this."""

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if (self.above is None) == (self.below is None):
            given = "neither" if self.above is None else "both"
            raise PydanticCustomError(
                "crossing_side", "give exactly one of 'above' and 'below'; got {given}", {"given": given}
            )
        return self

    def is_beyond(self, value: float, scale: float = 1.0) -> bool:
        """Whether ``value`` lies beyond the threshold, times ``scale``."""
        return value > self.above * scale if self.above is not None else value < (self.below or 0.0) * scale

    def side(self) -> str:
        """The threshold in words: ``above 3``."""
        return f"above {self.above:g}" if self.above is not None else f"below {self.below:g}"


class Crossing(OneSided, kind="crossing"):
    """When a metric crosses a threshold, seed by seed.

    The metric is read whenever a row of it is written. It fires after ``patience`` readings in a row on the far side,
    at most ``maximum`` times, and not within ``cooldown`` steps of the clock after its last firing.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "crossing",
        "metric": "evaluation/return",
        "below": 100.0,
        "patience": 3,
        "clock": "env",
        "cooldown": 100_000,
    }

    @override
    def phrase(self) -> str:
        return f"{self.metric} is {self.side()}{self.in_a_row()}"

    @override
    def is_so(self, value: float, past: Sequence[float]) -> bool:
        return self.is_beyond(value)


class Quantile(OneSided, kind="quantile"):
    """When a metric leaves the range of a seed's own past.

    A reading is so where it is greater than the quantile ``above`` of the ``readings`` before it, or less than their
    quantile ``below``. Between two of them the quantile is interpolated linearly. Earlier, it does not hold.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "quantile", "metric": "critic/loss", "above": 0.9, "readings": 50}

    above: Annotated[float, Field(ge=0, le=1)] | None = None
    """Holds where the metric is greater than this quantile of its past: 1 is the largest of it."""
    below: Annotated[float, Field(ge=0, le=1)] | None = None
    """Holds where the metric is less than this quantile of its past: 0 is the smallest of it."""
    readings: Readings = 50
    """Readings before the present one that it is compared with."""

    @property
    @override
    def remembered(self) -> int:
        return self.readings

    @override
    def phrase(self) -> str:
        side, share = self.side().split()
        return f"{self.metric} is {side} quantile {share} of its last {self.readings:,} readings{self.in_a_row()}"

    @override
    def is_so(self, value: float, past: Sequence[float]) -> bool:
        if self.above is not None:
            return value > quantile(past, self.above)
        return value < quantile(past, self.below or 0.0)


class Slope(OneSided, kind="slope"):
    """When a metric rises or falls fast enough, or no longer.

    The slope is that of the least-squares line through the last ``readings``, the present one included, as a change per
    reading. Before there are so many, it does not hold.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "slope",
        "metric": "evaluation/return",
        "below": 0.0,
        "readings": 5,
        "clock": "env",
    }

    readings: Annotated[int, Field(ge=2, le=10_000)] = 10
    """Readings through which the line is drawn."""

    @property
    @override
    def remembered(self) -> int:
        return self.readings - 1

    @override
    def phrase(self) -> str:
        over = f"over {self.readings:,} readings{self.in_a_row()}"
        return f"the slope of {self.metric} {over} is {self.side()} a reading"

    @override
    def is_so(self, value: float, past: Sequence[float]) -> bool:
        return self.is_beyond(slope([*past, value]))


class Plateau(Condition, kind="plateau"):
    """When a metric has not become better for some time.

    A reading is so where the best of the last ``readings``, the present one included, is not better by more than
    ``improvement`` than the best of all before them. Before there are more than ``readings``, it does not hold.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "plateau",
        "metric": "evaluation/return",
        "readings": 5,
        "improvement": 10.0,
        "clock": "env",
    }

    readings: Readings = 5
    """Readings without improvement."""
    improvement: Annotated[float, Field(ge=0, le=1e12)] = 0.0
    """The largest improvement that counts as none."""
    better: Literal["higher", "lower"] = "higher"
    """Which values of the metric are better."""

    @property
    @override
    def remembered(self) -> int:
        return self.readings + 1

    @property
    @override
    def needed(self) -> int:
        return self.readings + 1

    @override
    def remember(self, past: Sequence[float], value: float) -> list[float]:
        # First the best of all before the last readings, then these.
        if len(past) < self.remembered:
            return [*past, value]
        return [self._best(past[:2]), *past[2:], value]

    @override
    def phrase(self) -> str:
        by = f" by more than {self.improvement:g}" if self.improvement else ""
        row = self.in_a_row()
        return f"{self.metric} has not become {self.better}{by} in {self.readings:,} readings{row}"

    @override
    def is_so(self, value: float, past: Sequence[float]) -> bool:
        before, *last = self.remember(past, value)
        gain = self._best(last) - before
        return (gain if self.better == "higher" else -gain) <= self.improvement

    def _best(self, values: Sequence[float]) -> float:
        return max(values) if self.better == "higher" else min(values)


class Change(OneSided, kind="change"):
    """When a metric jumps: the difference of a reading from the mean of the ``readings`` before it.

    Measured in the metric's own ``value``, or in standard deviations of these readings (population, ``unit =
    "deviation"``); where these are all equal, each difference of the right sign is large enough. Before there are so
    many, it does not hold.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "change",
        "metric": "critic/loss",
        "above": 3.0,
        "unit": "deviation",
        "readings": 20,
    }

    readings: Readings = 10
    """Readings before the present one that it is compared with."""
    unit: Literal["value", "deviation"] = "value"
    """The unit of the difference: that of the metric, or the standard deviation of the readings before."""

    @property
    @override
    def remembered(self) -> int:
        return self.readings

    @override
    def phrase(self) -> str:
        unit = " standard deviations" if self.unit == "deviation" else ""
        against = f"against the mean of its last {self.readings:,} readings"
        return f"the change of {self.metric} {against} is {self.side()}{unit}{self.in_a_row()}"

    @override
    def is_so(self, value: float, past: Sequence[float]) -> bool:
        middle = math.fsum(past) / len(past)
        scale = math.sqrt(math.fsum((each - middle) ** 2 for each in past) / len(past))
        return self.is_beyond(value - middle, scale if self.unit == "deviation" else 1.0)


def quantile(values: Sequence[float], share: float) -> float:
    """The quantile of at least one value, interpolated linearly between its neighbours."""
    ordered, place = sorted(values), share * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def slope(values: Sequence[float]) -> float:
    """Change per reading of the least-squares line through at least two values."""
    middle = (len(values) - 1) / 2
    weight = math.fsum((index - middle) ** 2 for index in range(len(values)))
    return math.fsum((index - middle) * value for index, value in enumerate(values)) / weight
