"""When interventions fire: triggers over the clocks of a run, or over a metric.

A trigger of clocks is a pure function of two readings, so that a resumed run fires where the other would have. Clocks:
``env`` environment steps, ``interaction`` decisions, ``update`` gradient updates, ``epoch`` passes over a data set,
``phase`` switches from one phase of labelled data to the next: 1 before the first update of the second phase.
Tests: tests/interventions/test_triggers.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.interventions.clocks import CLOCK_STEPS, ClockName, Lengths, Since
from composer.spec.family import Family, Items
from composer.spec.quantities import counted

Count = Annotated[int, Field(ge=1, le=10**12)]


class Trigger(Family, family="trigger"):
    """When an intervention fires."""

    clock: ClockName = "update"
    """The clock on which its numbers count."""

    def fires(self, before: int, now: int, length: int) -> bool:
        """Whether a planned moment is in ``(before, now]`` of the clock, in a run of ``length``."""
        return any(before < moment <= now for moment in self.planned(length))

    def planned(self, length: int) -> Sequence[int]:
        """The planned moments in order, as a sequence, which knows its length without iterating."""
        return ()

    def until(self, length: int) -> Trigger:
        """The same trigger without moments after ``length`` of its clock, where it lists them."""
        return self

    @property
    def counted_since(self) -> Since:
        """Where its clock begins: at the start of the run, or anew with each phase."""
        return "start"

    def is_due(self, before: int, now: int, lengths: Lengths) -> bool:
        """Whether a planned moment is in ``(before, now]`` of its clock in a run of these lengths."""
        spans = lengths.spans(self.clock, self.counted_since)
        return any(
            self.fires(before - start, min(now, end) - start, end - start)
            for start, end in spans
            if start < now and before < end
        )

    def moments(self, lengths: Lengths) -> Sequence[int]:
        """The planned moments in a run of these lengths, read on its clock, in order."""
        if self.counted_since == "start":
            return self.planned(lengths.of(self.clock))
        spans = lengths.spans(self.clock, self.counted_since)
        return [start + moment for start, end in spans for moment in self.planned(end - start)]

    def longest(self, lengths: Lengths) -> int:
        """The most steps of its clock that a moment can be counted in."""
        return max((end - start for start, end in lengths.spans(self.clock, self.counted_since)), default=0)

    @property
    def period(self) -> int | None:
        """Steps of the clock between two planned firings; None where they are not regular."""
        return None

    def is_per_seed(self, lengths: Lengths) -> bool:
        """Whether it may fire for one seed at another time than for the others."""
        return self.clock == "phase" and lengths.phase_per_seed

    def watched_metric(self) -> str | None:
        """The metric that decides when it fires; None where moments are planned."""
        return None

    @property
    def least_readings(self) -> int:
        """Readings of its metric that it needs before it can fire."""
        return 1

    def condition(self) -> str:
        """What a metric must do for it to fire, in words; empty where moments are planned."""
        return ""

    def streak_after(self, streak: int, value: float) -> int:
        """Readings in a row beyond the threshold, once ``value`` of the metric is read after ``streak`` of them."""
        return 0

    def is_met(self, streak: int, fired: int, since: int) -> bool:
        """Whether it fires after ``streak`` such readings and ``fired`` firings, the last ``since`` steps ago."""
        return False

    def most_firings(self, planned: int) -> int:
        """Firings per seed that forecasts count with: those ``planned``, or a metric's maximum, 1 if unlimited."""
        return planned

    def problems(self, lengths: Lengths) -> Iterator[tuple[str, str]]:
        """What is wrong with this trigger for a run of these lengths: pairs of key and message."""
        if self.clock == "epoch" and not lengths.epoch:
            yield (
                "clock",
                "there is no data set here whose epochs could be counted; use 'env', 'interaction' or 'update'",
            )
        if self.clock == "phase" and not lengths.phase:
            yield "clock", "nothing switches here: 'environment' has no second phase that the run reaches"
        if self.counted_since == "phase":
            if not lengths.phase:
                yield "since", "there are no phases here: 'environment' has no second phase that the run reaches"
            elif self.clock == "phase" or lengths.phase_per_seed:
                reason = (
                    "phases are not counted within a phase" if self.clock == "phase" else "phases may end early here"
                )
                yield "since", f"{reason}; use 'start'"


class Planned(Trigger, abstract=True):
    """A trigger whose moments are known before the run."""

    since: Since = "start"
    """Where the clock begins: at the ``start`` of the run, or at 0 with each ``phase`` of labelled data.

    Every other number is then that of one phase: ``first``, ``spare_last``, ``maximum``.
    """

    @property
    @override
    def counted_since(self) -> Since:
        return self.since


class At(Planned, kind="at"):
    """At given moments, once each."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "at", "steps": [50_000], "clock": "env"}

    steps: Annotated[Items[Count], Field(max_length=1_000)]
    """The moments, in rising order."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.steps or any(a >= b for a, b in zip(self.steps, self.steps[1:], strict=False)):
            raise PydanticCustomError("at_steps", "'steps' must be a rising list of at least one moment")
        return self

    @override
    def planned(self, length: int) -> Sequence[int]:
        return [step for step in self.steps if step <= length]

    @override
    def until(self, length: int) -> Trigger:
        kept = tuple(self.planned(length))
        return self.model_copy(update={"steps": kept}) if kept else self

    def problems(self, lengths: Lengths) -> Iterator[tuple[str, str]]:
        """Moments after the end of the run are mistakes."""
        yield from super().problems(lengths)
        length = self.longest(lengths)
        if length and self.steps[-1] > length:
            end = f"the end of the {'run' if self.since == 'start' else 'longest phase'}"
            yield "steps", f"{self.steps[-1]:,} comes after {end} ({length:,} on the clock {self.clock!r})"


class Every(Planned, kind="every"):
    """At regular intervals: at ``first``, ``first + interval``, and so on, but not in the last ``spare_last`` steps."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "every", "interval": 200_000, "clock": "env"}

    interval: Count
    """Steps of the clock between two firings."""
    first: Annotated[int, Field(ge=0, le=10**12)] = 0
    """The first moment; 0 means one interval after the start."""
    spare_last: Annotated[int, Field(ge=0, le=10**12)] = 0
    """Fire only while at least so many steps remain."""
    maximum: Annotated[int, Field(ge=0, le=10**9)] = 0
    """At most so many firings; 0 for no limit."""

    @property
    @override
    def period(self) -> int:
        return self.interval

    @override
    def fires(self, before: int, now: int, length: int) -> bool:
        # Without walking through the moments.
        first = self.first or self.interval
        last = length - self.spare_last
        if self.maximum:
            last = min(last, first + (self.maximum - 1) * self.interval)
        reached = (min(now, last) - first) // self.interval
        return min(now, last) >= first and first + reached * self.interval > before

    @override
    def planned(self, length: int) -> Sequence[int]:
        first = self.first or self.interval
        planned = range(first, length - self.spare_last + 1, self.interval)
        return planned[: self.maximum] if self.maximum else planned

    def problems(self, lengths: Lengths) -> Iterator[tuple[str, str]]:
        """An interval that the run does not reach would never fire."""
        yield from super().problems(lengths)
        length, first = self.longest(lengths), self.first or self.interval
        if length and first > length - self.spare_last:
            spared = f" with the last {self.spare_last:,} spared" if self.spare_last else ""
            where = "first" if self.first else "interval"
            yield where, f"never fires: {first:,} > {length:,} on the clock {self.clock!r}{spared}"


class Crossing(Trigger, kind="crossing"):
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

    metric: Annotated[str, Field(min_length=1, max_length=200)]
    """Name of the metric, as in the journal."""
    above: Annotated[float, Field(ge=-1e12, le=1e12)] | None = None
    """Fire where the metric is greater than this."""
    below: Annotated[float, Field(ge=-1e12, le=1e12)] | None = None
    """Fire where the metric is less than this."""
    patience: Annotated[int, Field(ge=1, le=10**6)] = 1
    """Readings in a row that must be on the far side."""
    cooldown: Annotated[int, Field(ge=0, le=10**12)] = 0
    """Steps of the clock after a firing in which there is no other."""
    maximum: Annotated[int, Field(ge=0, le=10**9)] = 1
    """At most so many firings per seed; 0 for no limit."""

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if (self.above is None) == (self.below is None):
            given = "neither" if self.above is None else "both"
            raise PydanticCustomError(
                "crossing_side", "give exactly one of 'above' and 'below'; got {given}", {"given": given}
            )
        return self

    @override
    def is_per_seed(self, lengths: Lengths) -> bool:
        return True

    @override
    def watched_metric(self) -> str:
        return self.metric

    @property
    @override
    def least_readings(self) -> int:
        return self.patience

    @override
    def condition(self) -> str:
        side = f"above {self.above:g}" if self.above is not None else f"below {self.below:g}"
        row = f" {self.patience} times in a row" if self.patience > 1 else ""
        most = f", {counted(self.maximum, 'time')} a seed at most" if self.maximum else ""
        rest = f", not within {self.cooldown:,} {CLOCK_STEPS[self.clock]} of the last" if self.cooldown else ""
        return f"when {self.metric} is {side}{row}{most}{rest}"

    @override
    def streak_after(self, streak: int, value: float) -> int:
        is_beyond = value > self.above if self.above is not None else value < (self.below or 0.0)
        return streak + 1 if is_beyond else 0

    @override
    def is_met(self, streak: int, fired: int, since: int) -> bool:
        rested = not fired or since >= self.cooldown
        return streak >= self.patience and rested and (not self.maximum or fired < self.maximum)

    @override
    def most_firings(self, planned: int) -> int:
        return max(self.maximum, 1)

    def problems(self, lengths: Lengths) -> Iterator[tuple[str, str]]:
        """Cooldowns count on the clocks that are written with metrics."""
        if self.clock in ("epoch", "phase"):
            yield "clock", "a cooldown is counted on 'env', 'interaction' or 'update'"
