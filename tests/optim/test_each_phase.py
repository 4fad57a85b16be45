"""A schedule that begins anew with each phase: its values, in runs of phases, stopped beside a boundary."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_runs
import torch
from tiny_runs import begin, finished, result, resumed, stopped

from composer.blueprint import Blueprint, BlueprintError, load
from composer.optim.hyperparameters import Hyperparameters
from composer.optim.schedules import EachPhase, Linear

DIGITS = Path(__file__).parents[2] / "blueprints" / "warm_start" / "digits.toml"
LINE = "{ kind = 'linear', start = 1e-2, end = 1e-3, updates = 9 }"
RATE = f"{{ kind = 'each_phase', schedule = {LINE} }}"
SHORT = (
    "~interventions",
    "environment.data.samples=100",
    "environment.phases=[{ updates = 10, subset = 0.2 }, { updates = 25, subset = 0.5 }]",
    "algorithm.batch_size=10",
    "training={ env_steps = 35, log_every = 5 }",
    "evaluation.every=20",
    "checkpoint.every=60",
    "tracking.kind='none'",
    "seeds=[0, 4]",
    f"optimizers.model.learning_rate={RATE}",
)


def tiny(*overrides: str) -> Blueprint:
    """The digits in two phases."""
    return load(DIGITS, overrides).blueprint


def test_it_counts_from_the_begin_of_the_phase_or_from_a_later_restart() -> None:
    numbers = Hyperparameters(3, "cpu")
    line = Linear(start=1.0, end=0.0, updates=10)
    value = EachPhase(schedule=line).build(numbers)
    assert value(torch.tensor([0.0, 5.0, 20.0]).double()).tolist() == pytest.approx([1.0, 0.5, 0.0])
    numbers.phase_begin().copy_(torch.tensor([0.0, 5.0, 18.0]))
    assert value(torch.tensor([4.0, 5.0, 20.0]).double()).tolist() == pytest.approx([0.6, 1.0, 0.8])
    assert value(torch.tensor([4.0, 3.0, 2.0]).double()).tolist() == pytest.approx([0.6, 0.7, 0.8])


def test_a_run_that_stops_beside_a_boundary_goes_on_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_runs, "tiny", tiny)
    whole, session = finished(tmp_path / "whole", *SHORT)
    assert session.learner.hyperparameters.phase_begin().tolist() == [10, 10]
    plain, _ = finished(tmp_path / "plain", *SHORT[:-1], f"optimizers.model.learning_rate={LINE}")
    assert result(whole) != result(plain)
    for at in (9, 10):
        run, parts = begin(tmp_path / str(at), *SHORT)
        assert result(resumed(stopped(run, parts, at))) == result(whole)


def test_without_phases_it_is_refused() -> None:
    with pytest.raises(BlueprintError, match="there are no phases here whose updates could be counted"):
        tiny_runs.tiny(f"optimizers.actor.learning_rate={RATE}")
