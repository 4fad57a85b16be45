"""What MLflow calls the metrics of a run: the names of the journal, except for the evaluation metric, the headline.

MLflow's page draws a chart per metric, in a section named by the metric up to its last ``/``. It sorts both by code
point, and puts metrics without a ``/`` into a last section. A capital letter therefore brings the section of the
headline to the top, and whatever begins with the headline's name follows it. Tests: tests/tracking/page/.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from composer.spec.metrics import Metric

RESULT: Final = "Result"
"""The section of the headline."""
STEPS: Final = f"{RESULT}/steps"
"""Environment steps at the last evaluation."""
FIRINGS: Final = "interventions"
"""The section of how often each intervention has fired: ``interventions/NAME``."""
DEFAULT: Final = "evaluation/return"
"""The evaluation metric of a run whose record names none."""


class Headline(NamedTuple):
    """MLflow's names of one evaluation metric: ``Result/return`` and its statistics."""

    name: str
    """On the parent the mean over seeds, on a child the seed's own value."""

    @property
    def low(self) -> str:
        """Lower bound of the interval of the mean over seeds, on the parent, from three seeds on."""
        return f"{self.name}.low"

    @property
    def high(self) -> str:
        """Upper bound of the same interval."""
        return f"{self.name}.high"

    @property
    def iqm(self) -> str:
        """Interquartile mean over seeds, on the parent, from three seeds on."""
        return f"{self.name}.iqm"

    @property
    def area(self) -> str:
        """Area under the curve so far, divided by its environment steps: the mean over training."""
        return f"{self.name}.area"

    @property
    def best(self) -> str:
        """Highest value so far."""
        return f"{self.name}.best"

    @property
    def details(self) -> tuple[str, ...]:
        """What is drawn in the chart of the headline, or read off it, and needs no chart of its own."""
        return self.low, self.high, self.iqm, self.area, self.best, STEPS


def headline(metric: str) -> Headline:
    """The headline of an evaluation metric of the journal: ``evaluation/accuracy`` gives ``Result/accuracy``."""
    return Headline(f"{RESULT}/{metric.rpartition('/')[2]}")


def described(metric: Metric) -> tuple[Metric, ...]:
    """What MLflow shows of an evaluation metric, with meanings, units and ranges."""
    names, unit, low, high = headline(metric.name), metric.unit, metric.low, metric.high
    many = "on the parent, from three seeds on"
    return (
        Metric(names.name, f"{metric.meaning}; on the parent, mean over seeds", unit, low, high, "at each evaluation"),
        Metric(names.area, "its area under the curve so far, divided by the steps", unit, low, high, "with it"),
        Metric(names.best, "its highest value so far", unit, low, high, "with it"),
        Metric(names.low, "lower bound of the interval of its mean", unit, low, high, many),
        Metric(names.high, "upper bound of the interval of its mean", unit, low, high, many),
        Metric(names.iqm, "its interquartile mean over seeds", unit, low, high, many),
        Metric(STEPS, "environment steps at the last evaluation", "environment steps", 0, condition="with it"),
    )


def charted(interventions: Iterable[str], evaluation: Metric) -> tuple[Metric, ...]:
    """What is shown besides the metrics of the journal: the headline, and how often each intervention has fired."""
    meaning = "how often it has fired; on the parent, mean over seeds"
    fired = [Metric(f"{FIRINGS}/{name}", meaning, low=0, condition="at each firing") for name in interventions]
    return (*described(evaluation), *fired)
