"""Regression tasks: what flips, what drifts, what stays, and that a model learns them through the same loop."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tiny_runs
import torch
from tiny_runs import begin, finished, result, resumed, rows, stopped

from composer.algorithms.program import Batch, BuiltAgent
from composer.algorithms.supervised_losses import SupervisedProgram
from composer.blueprint import BlueprintError, load
from composer.environments import BitFlipping, DriftingTargets
from composer.environments.labelled.datasets import Bits
from composer.optim.hyperparameters import Hyperparameters

FLIPPING = Path(__file__).parents[2] / "blueprints" / "plasticity" / "bit_flipping.toml"
DATA = Bits(samples=300, width=20)


def test_one_slow_bit_flips_at_each_task_and_the_others_are_new() -> None:
    environment = BitFlipping(data=DATA, slow=15)
    tasks = [environment.samples_of(DATA.load(3), 3, number) for number in range(6)]
    for before, after in pairwise(tasks):
        assert (before.inputs[:, :15] == before.inputs[0, :15]).all(), "the same for all samples of a task"
        assert (before.inputs[0, :15] != after.inputs[0, :15]).sum() == 1
        assert 0.4 < before.inputs[:, 15:].mean() < 0.6
        assert not np.array_equal(before.inputs[:, 15:], after.inputs[:, 15:])
    again = environment.samples_of(DATA.load(3), 3, 4)
    assert np.array_equal(again.inputs, tasks[4].inputs) and np.array_equal(again.labels, tasks[4].labels)


def test_the_target_of_bits_is_the_network_that_is_told() -> None:
    environment = BitFlipping(data=DATA, units=7)
    task = environment.samples_of(DATA.load(0), 0, 2)
    from composer.spec.random_streams import derive

    fixed = np.random.Generator(np.random.PCG64(derive(0, "target")))
    weights, outputs = fixed.choice([-1.0, 1.0], (21, 7)), fixed.choice([-1.0, 1.0], 7)
    for bits, target in zip(task.inputs[:20], task.labels[:20], strict=True):
        total = 0.0
        for unit in range(7):
            negative = sum(weight < 0 for weight in weights[:, unit])
            added = sum(bit * weight for bit, weight in zip([*bits, 1.0], weights[:, unit], strict=True))
            total += outputs[unit] * (added > 21 * 0.7 - negative)
        assert target == total


def test_targets_drift_by_their_share_and_keep_their_size() -> None:
    data = Bits(samples=400, width=64)
    samples = data.load(1)
    for drift in (0.1, 1.0):
        environment = DriftingTargets(data=data, drift=drift)
        tasks = np.stack([environment.samples_of(samples, 1, number).labels for number in range(40)])
        steps = [np.corrcoef(one, other)[0, 1] for one, other in pairwise(tasks)]
        assert np.mean(steps) == pytest.approx((1 - drift**2) ** 0.5, abs=0.15)
        assert 0.3 < tasks.std(1).mean() < 2
    assert np.array_equal(environment.samples_of(samples, 1, 5).inputs, samples.inputs)


def test_the_loss_is_the_mean_squared_error() -> None:
    said = torch.randn(2, 1, 7, generator=torch.Generator().manual_seed(0))
    roles = BuiltAgent(networks={"model": lambda x, training=False: said}, averages={}, scalars={}, returns={})  # type: ignore[dict-item]
    targets, nothing = torch.randn(2, 7, 1, generator=torch.Generator().manual_seed(1)), torch.zeros(2, 7)
    for decay in (0.0, 0.4):
        program = SupervisedProgram(roles, 0.0, decay, True, Hyperparameters(2, "cpu"))
        loss = program.model_loss(Batch(nothing, targets, nothing, nothing, nothing), {}, {})
        expected = ((said[:, 0] - targets[..., 0]) ** 2).mean(1) + decay / 2 * (said[:, 0] ** 2).mean(1)
        torch.testing.assert_close(loss, expected)
    assert program.act(nothing, None).shape == (2, 7, 1)


@pytest.mark.parametrize("kind", ["bit_flipping", "drifting_targets"])
def test_a_model_learns_and_a_stopped_run_goes_on(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_runs, "tiny", lambda *overrides: load(FLIPPING, overrides).blueprint)
    small = (
        f"environment={{ kind = '{kind}', data = {{ kind = 'bits', samples = 100, width = 12 }}, task_updates = 200 }}",
        "seeds=[0, 1]",
        "networks.model.trunk.width=32",
        "training.env_steps=400",
        "evaluation.every=200",
        "checkpoint.every=200",
        "tracking.kind='none'",
    )
    run, parts = finished(tmp_path / "whole", *small)
    metrics = [row["metrics"] for row in rows(run) if row["type"] == "metrics"]
    scores = [each["evaluation/r_squared"] for each in metrics if "evaluation/r_squared" in each]
    assert len(scores) == 4 and min(scores) > 0.3, "0 is what the mean of the targets scores"
    assert parts.returns == [[pytest.approx(score)] for score in scores[-2:]]
    assert result(resumed(stopped(*begin(tmp_path / "half", *small), at=250))) == result(run)


def test_a_classifier_cannot_answer_with_a_number() -> None:
    with pytest.raises(BlueprintError, match="needs the head 'scalar' for a regression"):
        load(FLIPPING, ["networks.model.head={ kind = 'classifier', classes = 2 }"])
