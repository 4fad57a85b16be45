"""Firings of interventions as charts that rise by a step at each firing: how often each has fired until then.

A chart joins its points by lines. So the count of before has a point just before each firing, and 0 at step 0.
Tests: tests/tracking/test_points.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

Count = tuple[str, int, float]
"""A run, an environment step, and the count from there on."""


class Firings:
    """Counts the firings of one intervention, by seed and on average over seeds.

    The average at a step is known once all seeds have fired there, or once a later step begins.
    """

    def __init__(self, runs: Sequence[str], parent: str) -> None:
        """``runs`` are the seeds as strings; ``parent`` names their average."""
        self._runs, self._parent = runs, parent
        self._counts = dict.fromkeys(runs, 0)
        self._shown: defaultdict[str, tuple[int, float]] = defaultdict(lambda: (-1, 0.0))
        self._step: int | None = None
        self._fired: set[str] = set()

    def fire(self, run: str, step: int, firings: int) -> Iterator[Count]:
        """The points of a firing; of a second one of a seed at the same step, none until the next."""
        yield from self.until(step)
        self._counts[run] += firings
        self._step = step
        self._fired.add(run)
        yield from self._stair(run, step, float(self._counts[run]))
        if len(self._fired) == len(self._runs):
            yield from self._average()

    def until(self, step: int) -> Iterator[Count]:
        """The average of an earlier step than ``step`` at which only some seeds have fired."""
        if self._step is not None and step > self._step:
            yield from self._average()

    def _average(self) -> Iterator[Count]:
        assert self._step is not None
        yield from self._stair(self._parent, self._step, sum(self._counts.values()) / len(self._runs))
        self._step, self._fired = None, set()

    def _stair(self, run: str, step: int, count: float) -> Iterator[Count]:
        last, before = self._shown[run]
        if step <= last:
            return
        if last < 0 < step:
            last = 0
            yield run, 0, 0.0
        if last < step - 1:
            yield run, step - 1, before
        self._shown[run] = step, count
        yield run, step, count
