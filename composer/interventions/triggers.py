"""When interventions fire: triggers over the clocks of a run. Those over metrics: conditions.py; combined: combined.py.

A trigger of clocks is a pure function of two readings, so that a resumed run fires where the other would have. Clocks:
``env`` environment steps, ``interaction`` decisions, ``update`` gradient updates, ``epoch`` passes over a data set,
``phase`` switches from one phase of labelled data to the next: 1 before the first update of the second phase.
Kinds: planned.py, conditions.py, combined.py. Tests: tests/interventions/.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

from pydantic import Field
from typing_extensions import override

from composer.interventions.clocks import CLOCK_STEPS, ClockName, Lengths, Since
from composer.spec.family import Family
from composer.spec.quantities import counted


class Leaf(NamedTuple):
    """A trigger that combines no others, with the key at which it stands within the whole."""

    key: str
    """``of[0]``; empty for the whole trigger."""
    trigger: Trigger
    condition: Condition | None
    """The same trigger where a metric decides; None where moments are planned."""


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

    def until(self, lengths: Lengths) -> Trigger:
        """The same trigger without moments after the end of a run of these lengths, where it lists them."""
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

    def certain(self, lengths: Lengths) -> Sequence[tuple[ClockName, Sequence[int]]]:
        """Clocks with moments at which it fires for every seed, whatever metrics do."""
        return () if self.is_per_seed(lengths) else ((self.clock, self.moments(lengths)),)

    def sufficient(self) -> Sequence[Trigger]:
        """The triggers without parts at each of whose moments it fires, whatever the others do."""
        return (self,)

    def most_moments(self, lengths: Lengths) -> int:
        """The most planned moments at which it can fire, its own and those of the triggers within."""
        return sum(len(leaf.trigger.moments(lengths)) for leaf in self.leaves())

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

    def leaves(self) -> Sequence[Leaf]:
        """The triggers that combine no others, in the order of the file."""
        return [Leaf("", self, None)]

    def watched_metrics(self) -> list[str]:
        """The metrics that decide when it fires, each once; none where moments are planned."""
        return list(dict.fromkeys(leaf.condition.metric for leaf in self.leaves() if leaf.condition))

    def conditions(self) -> list[Condition]:
        """The conditions on metrics within, without limits of firings: what is read and how it is judged."""
        plain = {name: Limited.model_fields[name].default for name in ("clock", "cooldown", "maximum")}
        return [leaf.condition.model_copy(update=plain) for leaf in self.leaves() if leaf.condition]

    def holds(self, leaves: Iterator[bool | None]) -> bool | None:
        """Whether it holds, given whether each of its leaves does, in their order; None where that is unknown."""
        return next(leaves)

    def phrase(self) -> str:
        """What must be so for it to fire, in words and without limits: ``critic/loss is above 3``."""
        return self.kind

    def condition(self) -> str:
        """When it fires, in words, where metrics decide or several triggers; empty where it plans its moments alone."""
        return ""

    def may_fire(self, fired: int, since: int) -> bool:
        """Whether its limits allow a firing after ``fired`` others, the last ``since`` steps of the clock ago."""
        return True

    def at_most(self, planned: int, most: int) -> int:
        """The fewest of the firings that a seed can have and ``most``, given those ``planned``."""
        return min(planned, most)

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


class Limited(Trigger, abstract=True):
    """A trigger that is read seed by seed, with limits on its firings."""

    cooldown: Annotated[int, Field(ge=0, le=10**12)] = 0
    """Steps of the clock after a firing in which there is no other."""
    maximum: Annotated[int, Field(ge=0, le=10**9)] = 1
    """At most so many firings per seed; 0 for no limit."""

    @override
    def condition(self) -> str:
        most = f", {counted(self.maximum, 'time')} a seed at most" if self.maximum else ""
        rest = f", not within {self.cooldown:,} {CLOCK_STEPS[self.clock]} of the last" if self.cooldown else ""
        return f"when {self.phrase()}{most}{rest}"

    @override
    def may_fire(self, fired: int, since: int) -> bool:
        rested = not fired or since >= self.cooldown
        return rested and (not self.maximum or fired < self.maximum)

    @override
    def at_most(self, planned: int, most: int) -> int:
        return min(self.maximum or most, most)

    @override
    def most_firings(self, planned: int) -> int:
        return max(self.maximum, 1)

    def problems(self, lengths: Lengths) -> Iterator[tuple[str, str]]:
        """Cooldowns count on the clocks that are written with metrics."""
        if self.clock in ("epoch", "phase"):
            yield "clock", "a cooldown is counted on 'env', 'interaction' or 'update'"


class Condition(Limited, abstract=True):
    """What one metric must do, seed by seed. The metric is read whenever a row of it is written.

    It holds after ``patience`` readings in a row that are as demanded. Each of its kinds says which those are, perhaps
    by comparison with readings before; what was read before its last firing does not count.
    """

    metric: Annotated[str, Field(min_length=1, max_length=200)]
    """Name of the metric, as in the journal."""
    patience: Annotated[int, Field(ge=1, le=10**6)] = 1
    """Readings in a row that must be so."""

    @override
    def leaves(self) -> Sequence[Leaf]:
        return [Leaf("", self, self)]

    @override
    def is_per_seed(self, lengths: Lengths) -> bool:
        return True

    @property
    def remembered(self) -> int:
        """Numbers about past readings that it needs; 0 where it needs none."""
        return 0

    def remember(self, past: Sequence[float], value: float) -> list[float]:
        """What is left of the ``past`` once ``value`` is read."""
        return [*past, value][-self.remembered :] if self.remembered else []

    @property
    def needed(self) -> int:
        """Readings, the present one included, before which it is not known whether it holds."""
        return self.remembered + 1

    @property
    def least_readings(self) -> int:
        """Readings that it needs before it can fire."""
        return self.needed + self.patience - 1

    @abstractmethod
    def is_so(self, value: float, past: Sequence[float]) -> bool:
        """Whether the reading ``value`` is as demanded, after a full ``past``."""

    def streak_after(self, streak: int, value: float, past: Sequence[float] = ()) -> int:
        """Readings in a row that are as demanded, once ``value`` is read after ``streak`` of them."""
        return streak + 1 if len(past) >= self.needed - 1 and self.is_so(value, past) else 0

    def in_a_row(self) -> str:
        """The patience in words; empty for one reading."""
        return f" {self.patience} times in a row" if self.patience > 1 else ""
