"""The laboratories by name, each with the chain on which it is run by default: ``composer laboratory NAME``.

Tests: tests/studies/tabular/test_experiments.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from composer.spec.wording import suggestion
from composer.studies import Refused
from composer.studies.compare.plot import check
from composer.studies.statistics import LEVEL
from composer.studies.tabular import (
    categorical_experiment,
    fixed_point_experiment,
    quantile_experiment,
    report,
)
from composer.studies.tabular.chains import CHAINS, Chain

T = TypeVar("T")


class Laboratory(NamedTuple):
    """A measurement of a chain over seeds."""

    measure: Callable[[Chain, int], dict[str, Any]]
    chain: str


LABORATORIES: Final[Mapping[str, Laboratory]] = {
    "quantile-td": Laboratory(quantile_experiment.measure, "garnet"),
    "categorical-td": Laboratory(categorical_experiment.measure, "walk"),
    "categorical-fixed-point": Laboratory(fixed_point_experiment.measure, "garnet"),
}


def answer(name: str, chain: str | None, seeds: int, plot: Path | None) -> dict[str, Any]:
    """Run a laboratory and draw what it found; raises Refused for an unknown name or a plot that cannot be written."""
    laboratory = _known(LABORATORIES, name, "laboratory")
    chosen = laboratory.chain if chain is None else chain
    made = _known(CHAINS, chosen, "chain")()
    if plot is not None:
        check(plot)
    asked = {"laboratory": name, "chain": chosen, "seeds": seeds, "level": LEVEL}
    table = asked | laboratory.measure(made, seeds)
    if plot is not None:
        report.draw(table, plot)
    return table


def _known(named: Mapping[str, T], name: str, noun: str) -> T:
    if name not in named:
        raise Refused(f"no {noun} named {name!r}{suggestion(name, named)}")
    return named[name]
