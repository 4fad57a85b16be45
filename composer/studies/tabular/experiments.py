"""The experiments of ``composer tabular NAME`` by name, each with its default chain.

Tests: tests/studies/tabular/test_experiments.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from composer.spec.interval import LEVEL
from composer.spec.wording import suggestion
from composer.studies import Refused
from composer.studies.plots import check
from composer.studies.tabular import (
    categorical_experiment,
    fixed_point_experiment,
    quantile_experiment,
    random_cdf_experiment,
    report,
    sample_size_experiment,
)
from composer.studies.tabular.chains import CHAINS, Chain

T = TypeVar("T")


class Experiment(NamedTuple):
    """A measurement of a chain over seeds."""

    measure: Callable[[Chain, int], dict[str, Any]]
    chain: str


EXPERIMENTS: Final[Mapping[str, Experiment]] = {
    "quantile-td": Experiment(quantile_experiment.measure, "garnet"),
    "categorical-td": Experiment(categorical_experiment.measure, "walk"),
    "categorical-fixed-point": Experiment(fixed_point_experiment.measure, "garnet"),
    "random-cdf": Experiment(random_cdf_experiment.measure, "walk"),
    "sample-size": Experiment(sample_size_experiment.measure, "walk"),
}


def answer(name: str, chain: str | None, seeds: int, plot: Path | None) -> dict[str, Any]:
    """Run an experiment and plot its curves. Raises Refused for an unknown name or a plot that cannot be written."""
    experiment = _known(EXPERIMENTS, name, "experiment")
    chosen = experiment.chain if chain is None else chain
    made = _known(CHAINS, chosen, "chain")()
    if plot is not None:
        check(plot)
    settings = {"experiment": name, "chain": chosen, "seeds": seeds, "level": LEVEL}
    table = settings | experiment.measure(made, seeds)
    if plot is not None:
        report.draw(table, plot)
    return table


def _known(named: Mapping[str, T], name: str, noun: str) -> T:
    if name not in named:
        raise Refused(f"no {noun} named {name!r}{suggestion(name, named)}")
    return named[name]
