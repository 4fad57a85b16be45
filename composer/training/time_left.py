"""How long a run goes on: the work that its plan leaves, times what each kind of work has taken until now.

An interaction with random actions, one with the policy, an update, an evaluation, a reading of diagnostics and a
checkpoint each have a price of their own, so that a warm-up without updates says nothing wrong about what follows it.
Old measurements fade: what a run does now counts. Tests: tests/training/test_time_left.py.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from composer.blueprint.forecast.timeline import times_due

if TYPE_CHECKING:
    from composer.blueprint.forecast.clock import Clock

FADING_SECONDS: Final = 60.0
"""After so much time, what was measured of a kind of work counts half beside what follows."""


@dataclass
class _Price:
    """Seconds and how often; older ones count less, since ``since``."""

    since: float
    seconds: float = 0.0
    count: float = 0.0

    @property
    def each(self) -> float:
        return self.seconds / self.count if self.count else math.nan

    def add(self, seconds: float, count: int, now: float) -> None:
        if now - self.since > FADING_SECONDS:
            self.since, self.seconds, self.count = now, self.seconds / 2, self.count / 2
        self.seconds, self.count = self.seconds + seconds, self.count + count


class TimeLeft:
    """Measures the work of a run by laps; of several that train side by side, all lap the same one."""

    def __init__(
        self,
        clock: Clock,
        env_steps: int,
        every: Mapping[str, int],
        evaluation_interactions: float = 0.0,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``clock`` is that of the run of ``env_steps``; ``every`` are the environment steps between kinds of work.

        Until the first evaluation is measured, it is expected to take ``evaluation_interactions`` interactions.
        """
        self._clock, self._env_steps, self._every, self._now = clock, env_steps, dict(every), now
        self._evaluation = evaluation_interactions
        self._prices: dict[str, _Price] = {}
        self._lap = now()
        self.runs = 1
        """How many such runs train side by side."""

    @property
    def has_updated(self) -> bool:
        """Whether an update was counted."""
        return "first update" in self._prices

    def start(self) -> None:
        """Count from now on."""
        self._lap = self._now()

    def lap(self, work: str, count: int = 1) -> None:
        """Count the time since the last lap as ``count`` times that kind of work."""
        now = self._now()
        if work == "update" and "first update" not in self._prices:
            work = "first update"  # It compiles, or allocates.
        price = self._prices.get(work) or self._prices.setdefault(work, _Price(now))
        price.add(now - self._lap, count, now)
        self._lap = now

    def interaction(self) -> None:
        """Count the time since the last lap as an interaction, the one that the clock counted last."""
        self.lap("acting" if self._clock.updates else "random actions")

    def seconds(self) -> float:
        """Seconds until the end; NaN where updates have no price yet: the first one is not like the others."""
        clock, end = self._clock, self._clock.interactions_by(self._env_steps)
        left = end - clock.interactions
        first = clock.env_step_of(1, self._env_steps)
        random = max(0, (end if first is None else first // clock.stride) - clock.interactions)
        updates = clock.updates_by(self._env_steps) - clock.updates
        randomly, acting = self._either("random actions", "acting"), self._either("acting", "random actions")
        total = self.runs * (self._cost(random, randomly) + self._cost(left - random, acting))
        total += self._cost(updates, self._either("update")) + self._cost(left, self._price_of("rest"))
        for work, every in self._every.items():
            due = times_due(every, clock.stride, end) - clock.env_steps // every
            total += self._cost(max(due, 1) * self.runs if left else 0, self._price_of(work, acting * self._evaluation))
        return max(total - (self._now() - self._lap), 0.0)

    def _either(self, work: str, other: str = "") -> float:
        price = self._prices.get(work) or self._prices.get(other)
        return price.each if price is not None else math.nan

    def _price_of(self, work: str, expected: float = 0.0) -> float:
        price = self._prices.get(work)
        if price is not None:
            return price.each if price.count else 0.0
        return expected if work == "evaluation" and math.isfinite(expected) else 0.0

    @staticmethod
    def _cost(count: float, each: float) -> float:
        return count * each if count else 0.0
