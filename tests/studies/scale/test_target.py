"""What a law is about, read from journals: crossings between evaluations, ends, areas, and seeds that never arrive."""

from pathlib import Path

import numpy as np
import pytest

from composer.blueprint import Blueprint, load
from composer.blueprint.syntax.extends import shipped
from composer.studies import Refused
from composer.studies.scale.target import Target, crossing, target_of
from composer.tracking.journal import Journal

STEPS = np.array([10.0, 20.0, 30.0])


@pytest.fixture
def digits() -> Blueprint:
    return load(shipped()["warm_start/digits"], ["seeds=[0, 1, 2]"]).blueprint


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Seed 0 reaches 0.5 half-way between two rows, seed 1 never, seed 2 at the first row."""
    curves = {0: (0.2, 0.4, 0.6), 1: (0.1, 0.2, 0.3), 2: (0.5, 0.4, 0.9)}
    with Journal(tmp_path / "journal.jsonl") as journal:
        for column, step in enumerate(STEPS):
            for seed, values in curves.items():
                metrics = {"evaluation/accuracy": values[column], "model/loss": 1 - values[column]}
                journal.append({"type": "metrics", "env_step": int(step), "seed": seed, "metrics": metrics})
    return tmp_path


@pytest.mark.parametrize("metric", ["evaluation/accuracy", "model/loss"])
def test_steps_to_a_threshold_with_bounds_on_both_sides(run: Path, digits: Blueprint, metric: str) -> None:
    values, side = Target(metric, threshold=0.5).read(run, digits)
    assert values == pytest.approx([25, 30, 10])
    assert side.tolist() == [0, 1, -1]


def test_the_end_and_the_area(run: Path, digits: Blueprint) -> None:
    assert Target("evaluation/accuracy").read(run, digits)[0].tolist() == [0.6, 0.3, 0.9]
    values, side = Target("evaluation/accuracy", is_area=True).read(run, digits)
    assert values == pytest.approx([0.4, 0.2, 0.55])
    assert not side.any()


def test_a_curve_that_returns_below_the_threshold_has_reached_it() -> None:
    assert crossing(STEPS, np.array([0.0, 1.0, 0.0]), 0.25) == (12.5, 0)


def test_what_a_run_lacks_is_named(run: Path, digits: Blueprint) -> None:
    with pytest.raises(Refused, match="no metric 'evaluation/acuracy'; did you mean 'evaluation/accuracy'"):
        Target("evaluation/acuracy").read(run, digits)


def test_a_threshold_has_no_area() -> None:
    with pytest.raises(Refused, match="give one of them"):
        target_of("evaluation/return", "area", 0.5)
