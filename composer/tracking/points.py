"""Rows of the journal as points of MLflow's charts: one child run per seed, one parent run for all.

Points follow from the rows up to them, so an uploader that starts again at the first row makes the same points. A child
has its seed's values. The parent has, at every step that all seeds have reported, the mean over seeds. The evaluation
metric is the headline, with a name of its own (``composer.tracking.page.names``), the area under its curve and its best
value so far, and on the parent, from three seeds on, its interval (``composer.spec.interval``) and interquartile mean.
Values that are not finite cannot be charted: they are counted as ``NAME.nonfinite``. A firing raises
``interventions/NAME`` (``composer.tracking.firings``); any other event is the point ``events/NAME`` = 1.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np

from composer.spec.interquartile import iqm
from composer.spec.interval import LEAST, UNBOUNDED, Bounds, mean_interval
from composer.tracking.firings import Count, Firings
from composer.tracking.journal import JournalRow
from composer.tracking.page.names import DEFAULT, FIRINGS, STEPS, headline
from composer.tracking.page.running_curve import RunningCurve

PARENT: Final = "parent"
NAME_LIMIT: Final = 240


class Point(NamedTuple):
    """One value of one chart. ``run`` is a seed as a string, or ``"parent"``; ``step`` counts environment steps."""

    run: str
    name: str
    step: int
    value: float


class Points:
    """Follows one journal, from its first row, in order.

    Each (run, name, step) is given once: of two rows with the same one, the first counts.
    """

    def __init__(
        self, seeds: Sequence[int], ranges: Mapping[str, Bounds] = MappingProxyType({}), metric: str = DEFAULT
    ) -> None:
        """``ranges``: the lowest and the highest value of metrics, by name. ``metric`` is that of the evaluations."""
        self._metric, self._range = clean(metric), ranges.get(metric, UNBOUNDED)
        self._headline = headline(self._metric)
        self._curves: defaultdict[str, RunningCurve] = defaultdict(RunningCurve)
        self._runs = [str(seed) for seed in seeds]
        self._step: int | None = None
        self._seen: dict[str, dict[str, float]] = {}
        self._nonfinite: Counter[tuple[str, str]] = Counter()
        self._firings: dict[str, Firings] = {}

    def of(self, row: JournalRow) -> Iterator[Point]:
        """The points of this row, and those of the parent that it completes."""
        step = row["env_step"]
        if row["type"] == "timing" and self._step is not None and step < self._step:
            return  # a resumed run repeats steps, and the journal of wall-clock times is not cut back
        if step != self._step:
            for name, each in self._firings.items():
                yield from _counted(name, each.until(step))
            self._step, self._seen = step, {}
        seed = row.get("seed")
        run = PARENT if seed is None else str(seed)
        if row["type"] == "event" and run in self._runs:
            name = clean(f"{FIRINGS}/{row['name']}")
            each = self._firings.setdefault(name, Firings(self._runs, PARENT))
            yield from _counted(name, each.fire(run, step, row.get("firings", 1)))
            return
        values = {f"events/{row['name']}": 1.0} if row["type"] == "event" else row["metrics"]
        for name, value in values.items():
            yield from self._value(run, clean(name), step, float(value))

    def _value(self, run: str, name: str, step: int, value: float) -> Iterator[Point]:
        by_run = self._seen.setdefault(name, {})
        if run in by_run:
            return
        by_run[run] = value
        yield from self._shown(run, name, step, value)
        if run == PARENT or PARENT in by_run or not all(run in by_run for run in self._runs):
            return
        values = [by_run[run] for run in self._runs]
        by_run[PARENT] = average(values)
        yield from self._shown(PARENT, name, step, by_run[PARENT])
        if name == self._metric and len(values) >= LEAST and math.isfinite(by_run[PARENT]):
            low, high = mean_interval(values, self._range)
            with np.errstate(over="ignore"):
                middle = float(iqm(np.asarray(values)))
            named = (self._headline.low, low), (self._headline.high, high), (self._headline.iqm, middle)
            for statistic, number in named:
                yield self._point(PARENT, statistic, step, number)

    def _shown(self, run: str, name: str, step: int, value: float) -> Iterator[Point]:
        """A value, and where it is the headline what its curve says so far."""
        if name != self._metric:
            yield self._point(run, name, step, value)
            return
        yield self._point(run, self._headline.name, step, value)
        curve = self._curves[run]
        curve.add(step, value)
        if math.isfinite(curve.area):
            yield Point(run, self._headline.area, step, curve.area)
        if math.isfinite(curve.best):
            yield Point(run, self._headline.best, step, curve.best)
        yield Point(run, STEPS, step, float(step))

    def _point(self, run: str, name: str, step: int, value: float) -> Point:
        if math.isfinite(value):
            return Point(run, name, step, value)
        self._nonfinite[run, name] += 1
        return Point(run, f"{name}.nonfinite", step, float(self._nonfinite[run, name]))


def _counted(name: str, counts: Iterable[Count]) -> Iterator[Point]:
    return (Point(run, name, step, count) for run, step, count in counts)


def average(values: Sequence[float]) -> float:
    """Mean of one or more values; NaN where one of them is not finite."""
    if not all(map(math.isfinite, values)):
        return math.nan
    return math.fsum(value / len(values) for value in values)  # divided first, so that large values do not overflow


def clean(name: str) -> str:
    """A name that MLflow accepts: letters, digits, ``_ - . / :`` and spaces, a plain relative path, 240 characters."""
    plain = re.sub(r"[^\w\-./: ]", "_", name, flags=re.ASCII)
    return posixpath.normpath("/" + plain).lstrip("/")[:NAME_LIMIT].rstrip("/") or "_"


def flatten(value: object, path: str = "") -> dict[str, str]:
    """A nested table as MLflow's parameters: dotted names; lists of tables by index, other lists as one value."""
    if isinstance(value, Mapping) and (value or not path):
        items: dict[str, Any] = {f"{path}.{key}" if path else str(key): item for key, item in value.items()}
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        items = {f"{path}.{index}": item for index, item in enumerate(value)}
    else:
        return {clean(path): str(value)}
    return {name: text for key, item in items.items() for name, text in flatten(item, key).items()}
