"""The results of a finished run as arrays: returns, and every metric of its journal. Tests: tests/api/test_train.py."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from composer.blueprint import Blueprint
from composer.tracking.journal import read
from composer.tracking.records import JOURNAL
from composer.training.runs.directory import read_blueprint


class Series(NamedTuple):
    """One metric over a run."""

    env_steps: NDArray[np.int64]
    """[T] environment steps at which some seed has a value."""
    values: NDArray[np.float64]
    """[seeds, T]; NaN where a seed has no value, such as the return of an episode that has not ended."""


@dataclass(frozen=True, eq=False)
class Result:
    """A finished run."""

    path: Path
    """The run directory."""
    final_return: float
    """Mean over seeds and episodes of the last evaluation."""
    returns: NDArray[np.float64]
    """[seeds, episodes] of the last evaluation."""
    table: Mapping[str, Any] = field(repr=False)
    """The table that ``composer train --json`` prints, of plain types."""

    @cached_property
    def metrics(self) -> Mapping[str, Series]:
        """Every metric by its name in the journal: ``evaluation/return``, ``critic/loss``, read at the first use."""
        return read_metrics(self.path / JOURNAL, self.blueprint.seeds)

    @cached_property
    def blueprint(self) -> Blueprint:
        """The blueprint that was trained, read from the run directory."""
        return read_blueprint(self.path)


def read_metrics(
    journal: Path, seeds: Sequence[int], only: str | None = None, at: Collection[int] | None = None
) -> dict[str, Series]:
    """The metrics of a journal by name, without rows of no seed, such as those of the machine.

    Of a long journal, only the metric ``only``, or the rows ``at`` some environment steps, are kept in memory.
    """
    points: dict[str, dict[int, dict[int, float]]] = {}
    for row in read(journal):
        if row["type"] == "metrics" and row["seed"] is not None and (at is None or row["env_step"] in at):
            for name, value in row["metrics"].items():
                if only not in (None, name):
                    continue
                points.setdefault(name, {}).setdefault(row["env_step"], {})[row["seed"]] = value
    return {name: _series(by_step, seeds) for name, by_step in sorted(points.items())}


def _series(by_step: Mapping[int, Mapping[int, float]], seeds: Sequence[int]) -> Series:
    steps = sorted(by_step)
    values = [[by_step[step].get(seed, np.nan) for step in steps] for seed in seeds]
    return Series(np.array(steps, np.int64), np.array(values, np.float64))
