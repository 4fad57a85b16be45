"""Supervised learning: the loss against torch's, label smoothing, spectral decoupling, distillation.

Spectral decoupling: arXiv:2011.09468, Eq. 4. Distillation: arXiv:1503.02531.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from composer.algorithms.program import Batch, BuiltAgent
from composer.algorithms.supervised_losses import SupervisedProgram
from composer.blueprint import BlueprintError, load
from composer.optim.hyperparameters import Hyperparameters

LOGITS = torch.randn(2, 1, 7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.randint(0, 5, (2, 7), generator=torch.Generator().manual_seed(1))


class Model:
    """Answers what it is told to."""

    def __init__(self) -> None:
        self.modes: list[bool] = []

    def __call__(self, x: Tensor, training: bool = False) -> Tensor:
        self.modes.append(training)
        return LOGITS


def program(smoothing: float, decay: float) -> tuple[SupervisedProgram, Model]:
    model = Model()
    roles = BuiltAgent(networks={"model": model}, averages={}, scalars={}, returns={})  # type: ignore[dict-item]
    return SupervisedProgram(roles, smoothing, decay, False, Hyperparameters(2, "cpu")), model


def batch() -> Batch:
    answers = torch.nn.functional.one_hot(LABELS, 5).double()
    nothing = torch.zeros(2, 7)
    return Batch(nothing, answers, nothing, nothing, nothing)


def test_the_loss_is_cross_entropy_a_seed() -> None:
    for smoothing in (0.0, 0.2):
        supervised, model = program(smoothing, 0.0)
        signals: dict[str, Tensor] = {}
        loss = supervised.model_loss(batch(), {}, signals)
        expected = [
            torch.nn.functional.cross_entropy(LOGITS[seed, 0], LABELS[seed], label_smoothing=smoothing)
            for seed in range(2)
        ]
        torch.testing.assert_close(loss, torch.stack(expected), rtol=1e-6, atol=1e-7)
        assert model.modes == [True], "its own objective: batch statistics and noise are on"
        right = (LOGITS[:, 0].argmax(-1) == LABELS).float().mean(1)
        torch.testing.assert_close(signals["model/accuracy"], right)


def test_spectral_decoupling_adds_half_the_mean_square_of_the_logits() -> None:
    plain, decayed = (program(0.0, decay)[0].model_loss(batch(), {}, {}) for decay in (0.0, 0.3))
    expected = 0.15 * LOGITS[:, 0].square().sum(-1).mean(1)
    torch.testing.assert_close(decayed - plain, expected, rtol=1e-6, atol=1e-7)


def test_answers_that_are_numbers_have_squared_errors_and_the_same_decoupling() -> None:
    answers, targets = LOGITS[..., 0], torch.randn(2, 7, 1, generator=torch.Generator().manual_seed(3)).double()
    roles = BuiltAgent(networks={"model": lambda x, training: answers}, averages={}, scalars={}, returns={})  # type: ignore[dict-item]
    supervised = SupervisedProgram(roles, 0.0, 0.3, True, Hyperparameters(2, "cpu"))
    signals: dict[str, Tensor] = {}
    nothing = torch.zeros(2, 7)
    loss = supervised.model_loss(Batch(nothing, targets, nothing, nothing, nothing), {}, signals)
    error = torch.stack([torch.nn.functional.mse_loss(answers[seed, 0], targets[seed, :, 0]) for seed in range(2)])
    torch.testing.assert_close(signals["model/loss"], error, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(loss, error + 0.15 * answers[:, 0].square().mean(1), rtol=1e-6, atol=1e-7)
    assert "model/accuracy" not in signals


TAUGHT = torch.randn(2, 1, 7, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
DIGITS = Path(__file__).parents[2] / "blueprints" / "warm_start" / "digits.toml"


@pytest.mark.parametrize(("weight", "temperature"), [(1.0, 1.0), (0.3, 4.0)])
def test_distillation_adds_the_divergence_from_a_teacher_that_is_evaluated(weight: float, temperature: float) -> None:
    class Teacher(Model):
        def __call__(self, x: Tensor, training: bool = False) -> Tensor:
            super().__call__(x, training)
            return TAUGHT

    teacher, plain = Teacher(), program(0.1, 0.2)[0].model_loss(batch(), {}, {})
    roles = BuiltAgent({"model": Model()}, {"tortoise": teacher}, {}, {})  # type: ignore[dict-item]
    told = SupervisedProgram(roles, 0.1, 0.2, False, Hyperparameters(2, "cpu"), ("tortoise", weight, temperature))
    signals: dict[str, Tensor] = {}
    added = told.model_loss(batch(), {}, signals) - plain
    student, wanted = (torch.log_softmax(each[:, 0] / temperature, -1) for each in (LOGITS, TAUGHT))
    divergence = torch.nn.functional.kl_div(student, wanted, reduction="none", log_target=True).sum(-1).mean(1)
    torch.testing.assert_close(added, weight * temperature**2 * divergence, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(signals["model/distillation"], divergence, rtol=1e-6, atol=1e-7)
    assert teacher.modes == [False] and set(signals) == set(told.signals)


def test_the_gradient_of_distillation_is_the_difference_of_probabilities() -> None:
    """At T = 1 and without labels: ``softmax(model) - softmax(teacher)``, over the batch; none reaches the teacher."""
    logits, taught = (each.clone().requires_grad_() for each in (LOGITS, TAUGHT))

    def network(value: Tensor) -> object:
        return lambda x, training=False: value

    roles = BuiltAgent({"model": network(logits)}, {"tortoise": network(taught)}, {}, {})  # type: ignore[dict-item]
    told = SupervisedProgram(roles, 0.0, 0.0, False, Hyperparameters(2, "cpu"), ("tortoise", 1.0, 1.0))
    labelled = SupervisedProgram(roles, 0.0, 0.0, False, Hyperparameters(2, "cpu"))
    loss = told.model_loss(batch(), {}, {}) - labelled.model_loss(batch(), {}, {})
    loss.sum().backward()
    assert taught.grad is None and logits.grad is not None
    expected = (torch.softmax(LOGITS, -1) - torch.softmax(TAUGHT, -1)) / 7
    torch.testing.assert_close(logits.grad, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["algorithm.distillation={ average = 'tortoise' }"], "no average named 'tortoise'"),
        (
            ["algorithm.distillation={ average = 'hare' }", "averages.tortoise={ of = 'model', momentum = 0.9 }"],
            "no average named 'hare'",
        ),
        (["algorithm.distillation={ average = 'tortoise', temperature = 0 }"], "must be greater than 0"),
    ],
)
def test_a_teacher_that_is_not_there_is_told(overrides: list[str], message: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        load(DIGITS, overrides)
    assert message in str(caught.value)
