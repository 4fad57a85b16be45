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
    interference_experiment,
    quantile_experiment,
    quantile_grid,
    random_cdf_experiment,
    report,
    sample_size_experiment,
    td_path_experiment,
)
from composer.studies.tabular.chains import CHAINS, Chain

T = TypeVar("T")
Draw = Callable[[Mapping[str, Any], Path], None]


class Experiment(NamedTuple):
    """A measurement of a chain over seeds."""

    measure: Callable[[Chain, int], dict[str, Any]]
    chain: str
    draw: Draw = report.draw

    def table(self, chain: str | None, seeds: int) -> dict[str, Any]:
        """Its table on the named chain, or on its own. Raises Refused for an unknown name."""
        chosen = self.chain if chain is None else chain
        return {"chain": chosen} | self.measure(_known(CHAINS, chosen, "chain")(), seeds)


class OwnChains(NamedTuple):
    """A measurement over chains of its own, which are no chain of the command."""

    measure: Callable[[int], dict[str, Any]]
    chain: str
    """What its chains are, in words."""
    draw: Draw = report.draw

    def table(self, chain: str | None, seeds: int) -> dict[str, Any]:
        """Its table. Raises Refused where a chain is asked for."""
        if chain is not None:
            raise Refused(f"this experiment has chains of its own ({self.chain}): leave out --chain {chain}")
        return {"chain": self.chain} | self.measure(seeds)


EXPERIMENTS: Final[Mapping[str, Experiment | OwnChains]] = {
    "quantile-td": Experiment(quantile_experiment.measure, "garnet"),
    "categorical-td": Experiment(categorical_experiment.measure, "walk"),
    "categorical-fixed-point": Experiment(fixed_point_experiment.measure, "garnet"),
    "random-cdf": Experiment(random_cdf_experiment.measure, "walk"),
    "sample-size": Experiment(sample_size_experiment.measure, "walk"),
    "quantile-grid": OwnChains(quantile_grid.measure, "drawn for each seed", quantile_grid.draw),
    "td-path": OwnChains(td_path_experiment.measure, "walks with random rewards"),
    "interference": OwnChains(interference_experiment.measure, "circles with random rewards"),
}


def answer(name: str, chain: str | None, seeds: int, plot: Path | None) -> dict[str, Any]:
    """Run an experiment and plot its curves. Raises Refused for an unknown name or a plot that cannot be written."""
    experiment = _known(EXPERIMENTS, name, "experiment")
    if plot is not None:
        check(plot)
    table = {"experiment": name, "seeds": seeds, "level": LEVEL} | experiment.table(chain, seeds)
    if plot is not None:
        experiment.draw(table, plot)
    return table


def _known(named: Mapping[str, T], name: str, noun: str) -> T:
    if name not in named:
        raise Refused(f"no {noun} named {name!r}{suggestion(name, named)}")
    return named[name]
