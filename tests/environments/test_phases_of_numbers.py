"""Regression in phases: answers as they are, wrong ones, early stopping by squared error, R squared, exact resume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_runs
import torch
from tiny_runs import begin, finished, result, resumed, rows, stopped

from composer.blueprint import Blueprint, BlueprintError, load
from composer.environments.labelled.datasets import Teacher
from composer.training.collect.labelled import r_squared
from composer.training.collect.phase_batches import HeldOutData, PhaseBatches
from composer.training.collect.phase_stream import HeldOutEvaluator, held_out_loss
from composer.training.runs.directory import read_blueprint

DIGITS = Path(__file__).parents[2] / "blueprints" / "warm_start" / "digits.toml"
TEACHER = '{ kind = "teacher", samples = 200, held_out = 700, width = 4, units = 3, noise = 0.0 }'
COMMON = (
    'networks.model={ trunk = { use = "mlp", width = 16, depth = 1 }, head = { kind = "scalar" } }',
    'optimizers={ model = { kind = "adam", learning_rate = 1e-2 } }',
    "seeds=[0]",
    "algorithm.batch_size=10",
    "training={ env_steps = 120, log_every = 20 }",
    "evaluation.every=40",
    "checkpoint.every=30",
    "tracking.kind='none'",
)


def changes(phases: str, *rest: str) -> tuple[str, ...]:
    return (f'environment={{ kind = "phases", data = {TEACHER}, phases = {phases} }}', *COMMON, *rest)


def tiny(*overrides: str) -> Blueprint:
    """Numbers in phases, under overrides."""
    return load(DIGITS, overrides).blueprint


@pytest.fixture(autouse=True)
def runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever makes runs makes them of this blueprint."""
    monkeypatch.setattr(tiny_runs, "tiny", tiny)


WARM = "[{ updates = 60, subset = 0.2, label_noise = 0.5 }, {}]"
EARLY = "[{ updates = 80, early_stopping = { every = 5, patience = 2 } }, {}]"


def test_answers_are_numbers_of_variance_one_and_generalise() -> None:
    data = Teacher(samples=5_000, held_out=5_000, width=8, noise=0.0)
    train, held = data.load(3), data.load_held_out(3)
    assert train.labels.dtype == np.float32 and not np.array_equal(train.inputs[:10], held.inputs[:10])
    assert train.labels.std() == pytest.approx(1, abs=0.1) and held.labels.std() == pytest.approx(1, abs=0.1)
    assert np.array_equal(data.load(3).inputs, train.inputs) and not np.array_equal(data.load(4).inputs, train.inputs)
    # One teacher for all seeds: nearest neighbours answer alike.
    near = ((data.load(4).inputs[:200, None] - train.inputs[None]) ** 2).sum(-1).argmin(1)
    assert np.corrcoef(train.labels[near], data.load(4).labels[:200])[0, 1] > 0.7
    noisy = Teacher(samples=5_000, width=8, noise=0.5)
    assert (noisy.load(3).labels - train.labels).std() == pytest.approx(0.5, abs=0.02)


def test_a_share_of_a_phase_takes_the_numbers_of_others() -> None:
    declared = tiny(*changes(WARM)).environment
    phased = PhaseBatches(declared, (0, 5), 10, "cpu")  # type: ignore[arg-type]
    for seed, number in enumerate((0, 5)):
        samples = declared.data.load(number)  # type: ignore[attr-defined]
        held = phased._phases[seed]
        right = torch.from_numpy(samples.labels)[held.indices]
        assert len(held.indices) == 40 and 15 <= int((held.labels != right).sum()) <= 20
        assert set(held.labels.tolist()) <= set(right.tolist())
    batch = phased.at(0)
    assert batch.action.shape == (2, 10, 1) and batch.action.dtype == torch.float32
    phased.enter(0, 1, 60)
    assert torch.equal(phased._phases[0].labels, phased._labels[0][phased._phases[0].indices])


def test_models_are_judged_by_what_they_explain_of_what_is_held_out(tmp_path: Path) -> None:
    run, parts = finished(tmp_path, *changes(WARM))
    declared, learner = read_blueprint(run).environment, parts.learner
    held = HeldOutData(declared, (0,), "cpu")  # type: ignore[arg-type]
    inputs, right = (torch.cat(column, 1) for column in zip(*held.pieces(declared.plan[1]), strict=True))  # type: ignore[attr-defined]
    assert inputs.shape == (1, 700, 4)
    said = learner.act(inputs, explore=False)[..., 0].double()
    wanted = 1 - float(((said - right) ** 2).mean() / right.double().var(correction=0))
    examiner = HeldOutEvaluator(declared, (0,), 10, "cpu")  # type: ignore[arg-type]
    assert examiner.metric == "evaluation/r_squared"
    assert float(examiner.returns(learner, 120)[0, 0]) == pytest.approx(wanted) and wanted > 0
    loss = held_out_loss(learner, held, declared.plan[1])  # type: ignore[attr-defined]
    assert float(loss) == pytest.approx(float(((said - right) ** 2).mean()))
    metrics = [row["metrics"] for row in rows(run) if row["type"] == "metrics"]
    assert any("evaluation/r_squared" in each for each in metrics)
    assert all("model/accuracy" not in each for each in metrics)


@pytest.mark.parametrize("phases", [WARM, EARLY])
def test_resume_is_exact(phases: str, tmp_path: Path) -> None:
    run, _ = finished(tmp_path / "whole", *changes(phases, "seeds=[0, 5]"))
    half = stopped(*begin(tmp_path / "half", *changes(phases, "seeds=[0, 5]")), at=70)
    assert result(resumed(half)) == result(run)


def test_r_squared_by_hand() -> None:
    exact = torch.tensor([[1.0, 3.0], [2.0, 2.0]]).double()
    assert r_squared(exact, exact).tolist() == [1, 1]
    # The mean explains nothing; one target for all has a thousandth of its square for a spread.
    assert r_squared(torch.full_like(exact, 2), exact)[0] == 0
    assert float(r_squared(exact + 0.1, exact)[1]) == pytest.approx(1 - 0.01 / 0.004)


def test_numbers_have_no_classes() -> None:
    with pytest.raises(BlueprintError, match="no 'classes' to choose from"):
        tiny(*changes("[{ updates = 60, classes = [0] }, {}]"))
