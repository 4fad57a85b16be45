"""Triggers whose moments are known before the run. Tests: tests/interventions/test_triggers.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.interventions.clocks import CLOCK_STEPS, Lengths, Since
from composer.interventions.triggers import Trigger
from composer.spec.family import Items

Count = Annotated[int, Field(ge=1, le=10**12)]


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
    def phrase(self) -> str:
        shown = ", ".join(f"{step:,}" for step in self.steps[:3])
        more = " and so on" if len(self.steps) > 3 else ""
        return f"{CLOCK_STEPS[self.clock]} are {shown}{more}"

    @override
    def until(self, lengths: Lengths) -> Trigger:
        kept = tuple(self.planned(lengths.of(self.clock)))
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

    @override
    def phrase(self) -> str:
        return f"another {self.interval:,} {CLOCK_STEPS[self.clock]} are over"

    def problems(self, lengths: Lengths) -> Iterator[tuple[str, str]]:
        """An interval that the run does not reach would never fire."""
        yield from super().problems(lengths)
        length, first = self.longest(lengths), self.first or self.interval
        if length and first > length - self.spare_last:
            spared = f" with the last {self.spare_last:,} spared" if self.spare_last else ""
            where = "first" if self.first else "interval"
            yield where, f"never fires: {first:,} > {length:,} on the clock {self.clock!r}{spared}"
