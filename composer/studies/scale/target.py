"""What a law is about: the last value of a metric, the area under its curve, or the steps until it reaches a threshold.

Tests: tests/studies/scale/test_target.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from composer.blueprint import Blueprint
from composer.blueprint.forecast.metrics import known_metrics, metric_problem
from composer.spec.wording import suggestion
from composer.studies import Refused
from composer.studies.statistics import Floats
from composer.tracking.records import JOURNAL
from composer.training.runs.results import Series, read_metrics

VALUE, AT_LEAST, AT_MOST = 0, 1, -1
LOWER_IS_BETTER: Final = "loss"
"""The unit of metrics that fall while an agent learns."""


@dataclass(frozen=True)
class Target:
    """One number of each seed's curve of a metric."""

    metric: str
    """Empty, until the runs are known: that of their evaluation."""
    threshold: float | None = None
    """Ask for the environment steps until the metric reaches it."""
    is_area: bool = False
    """Ask for the mean over environment steps instead of the last value."""

    @property
    def name(self) -> str:
        """For tables and the axis of a figure."""
        if self.threshold is not None:
            return f"environment steps until {self.metric} reaches {self.threshold:g}"
        return f"{self.metric}, mean over environment steps" if self.is_area else f"{self.metric} at the end"

    def ensure_written(self, blueprint: Blueprint) -> None:
        """Raise Refused, before anything is trained, where a run of ``blueprint`` does not write the metric."""
        if problem := metric_problem(blueprint, self.metric, readings=0):
            raise Refused(problem)

    def read(self, run: Path, blueprint: Blueprint) -> tuple[Floats, NDArray[np.int8]]:
        """The number of each seed, and 1 where it is larger than that, -1 where it is smaller; 0 elsewhere.

        Raises Refused where the run lacks the metric.
        """
        found = read_metrics(run / JOURNAL, blueprint.seeds)
        if self.metric not in found:
            raise Refused(f"{run} has no metric {self.metric!r}{suggestion(self.metric, sorted(found))}")
        series, is_loss = found[self.metric], falls(self.metric, blueprint)
        if self.threshold is not None:
            each = [crossing(*_of_seed(series, row), self.threshold, is_loss) for row in series.values]
        else:
            each = [self._summary(*_of_seed(series, row)) for row in series.values]
        values, side = np.array([value for value, _ in each]), np.array([side for _, side in each], np.int8)
        if np.isnan(values).any():
            raise Refused(f"{run} has no finite {self.metric!r} of some seed")
        return values, side

    def _summary(self, steps: Floats, values: Floats) -> tuple[float, int]:
        if not len(values):
            return np.nan, VALUE
        if not self.is_area or len(values) == 1:
            return float(values[-1]), VALUE
        return float(np.trapezoid(values, steps) / (steps[-1] - steps[0])), VALUE


def target_of(metric: str | None, kind: str, threshold: float | None) -> Target:
    """From the options of the command line; ``kind`` is ``final`` or ``area``. Raises Refused where both are meant."""
    if threshold is not None and kind == "area":
        raise Refused("--threshold asks for steps, --target area for a mean over steps: give one of them")
    return Target(metric or "", threshold, kind == "area")


def crossing(steps: Floats, values: Floats, threshold: float, falls: bool = False) -> tuple[float, int]:
    """The step at which a curve first reaches ``threshold``, between two points by a straight line.

    The last step with ``AT_LEAST`` where it never does, the first with ``AT_MOST`` where it has from the beginning.
    """
    if not len(steps):
        return np.nan, AT_LEAST
    above = (values <= threshold) if falls else (values >= threshold)
    if not above.any():
        return float(steps[-1]), AT_LEAST
    first = int(above.argmax())
    if first == 0:
        return float(steps[0]), AT_MOST
    share = (threshold - values[first - 1]) / (values[first] - values[first - 1])
    return float(steps[first - 1] + share * (steps[first] - steps[first - 1])), VALUE


def _of_seed(series: Series, values: Floats) -> tuple[Floats, Floats]:
    """Steps and values of a seed's finite points."""
    is_finite = np.isfinite(values)
    return series.env_steps[is_finite].astype(np.float64), values[is_finite]


def falls(metric: str, blueprint: Blueprint) -> bool:
    """Whether lower values of a metric are better: it is a loss."""
    declared = (each.metric for each in known_metrics(blueprint))
    return any(each.is_named(metric) and each.unit == LOWER_IS_BETTER for each in declared)
