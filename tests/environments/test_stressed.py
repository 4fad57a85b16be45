"""Stressed regression: what each stress does to a task, what stays plain, and the loss of a head with atoms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from composer.algorithms.losses.returns import HLGauss, Quantile, TwoHot
from composer.algorithms.program import Batch, BuiltAgent
from composer.algorithms.supervised_losses import SupervisedProgram
from composer.blueprint import BlueprintError, load
from composer.environments import StressedRegression
from composer.environments.labelled.datasets import Noise
from composer.optim.hyperparameters import Hyperparameters

BLUEPRINT = Path(__file__).parents[2] / "blueprints" / "plasticity" / "mechanisms.toml"
DATA = Noise(samples=200, width=6, labels=2)


def tasks(stress: str, strength: float) -> list[tuple[np.ndarray, np.ndarray]]:
    environment = StressedRegression(data=DATA, stress=stress, stressed=2, strength=strength)
    return [(found.inputs, found.labels) for found in (environment.samples_of(DATA.load(3), 3, n) for n in range(4))]


def test_plain_targets_are_new_and_standardised() -> None:
    inputs, targets = zip(*tasks("none", 5.0), strict=True)
    for each, own in zip(inputs, targets, strict=True):
        assert np.array_equal(each, DATA.load(3).inputs)
        assert own.mean() == pytest.approx(0, abs=1e-6) and own.std() == pytest.approx(1, abs=1e-6)
    assert np.abs(np.corrcoef(targets) - np.eye(4)).max() < 0.9
    assert np.array_equal(targets[1], tasks("none", 5.0)[1][1])


@pytest.mark.parametrize("stress", ["target_offset", "input_shift", "random_targets"])
def test_a_stress_changes_the_first_tasks_alone(stress: str) -> None:
    plain, stressed = tasks("none", 0.0), tasks(stress, 8.0)
    for number, ((x, y), (x_stressed, y_stressed)) in enumerate(zip(plain, stressed, strict=True)):
        if number >= 2:
            assert np.array_equal(x, x_stressed) and np.array_equal(y, y_stressed)
        elif stress == "target_offset":
            np.testing.assert_allclose(y_stressed, y + 8, rtol=1e-6)
        elif stress == "input_shift":
            moved = x_stressed - x
            np.testing.assert_allclose(np.abs(moved), 8, rtol=1e-5)
            assert np.ptp(moved, axis=0).max() < 1e-5 and np.array_equal(y, y_stressed)
        else:
            assert y_stressed.std() == pytest.approx(8, rel=0.2) and abs(np.corrcoef(y, y_stressed)[0, 1]) < 0.3
    moving = 0 if stress == "input_shift" else 1
    assert not np.array_equal(stressed[0][moving], stressed[1][moving])


@pytest.mark.parametrize("returns", [TwoHot(5, -1.0, 3.0), HLGauss(5, -1.0, 3.0, 0.75), Quantile(5, 1.0)])
def test_a_head_with_a_distribution_learns_numbers(returns: TwoHot) -> None:
    """The two-hot loss is written out; every head's mean comes to the targets, and is the answer."""
    raw = torch.zeros(2, 1, 3, 5, requires_grad=True)
    roles = BuiltAgent(
        networks={"model": lambda x, training=False: raw},  # type: ignore[dict-item]
        averages={},
        scalars={},
        returns={"model": returns},
    )
    program = SupervisedProgram(roles, 0.0, 0.0, True, Hyperparameters(2, "cpu"))
    numbers, nothing = torch.tensor([[[0.5], [1.0], [1.75]]]).expand(2, 3, 1), torch.zeros(2, 3)
    batch = Batch(nothing, numbers, nothing, nothing, nothing)
    if isinstance(returns, TwoHot):
        target = torch.tensor([[0, 0.5, 0.5, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0.25, 0.75, 0]])
        expected = -(target * raw.detach()[0, 0].log_softmax(-1)).sum(-1).mean()
        torch.testing.assert_close(program.model_loss(batch, {}, {}).detach(), expected.expand(2))
    optimizer = torch.optim.Adam([raw], 0.1)
    for _ in range(150):
        optimizer.zero_grad()
        program.model_loss(batch, {}, {}).sum().backward()
        optimizer.step()
    torch.testing.assert_close(program.act(nothing, None).detach(), numbers, atol=0.15, rtol=0)


def test_the_blueprint_takes_stress_and_remedy_and_refuses_heads_that_give_no_number() -> None:
    both = load(BLUEPRINT, variant="input_shift+categorical").blueprint
    assert both.environment.stress == "input_shift" and both.networks["model"].head.kind == "categorical_value"
    for head in ("kind = 'classifier', classes = 2", "kind = 'implicit_quantile'"):
        with pytest.raises(BlueprintError, match="needs the head 'scalar' for a regression, or 'categorical_value'"):
            load(BLUEPRINT, [f"networks.model.head={{ {head} }}"])
