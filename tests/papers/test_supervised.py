"""Supervised learning: the loss against torch's, label smoothing, spectral decoupling (arXiv:2011.09468, Eq. 4)."""

from __future__ import annotations

import torch
from torch import Tensor

from composer.algorithms.base import Batch, Roles
from composer.algorithms.supervised_program import SupervisedProgram

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
    roles = Roles(networks={"model": model}, averages={}, scalars={}, returns={})  # type: ignore[dict-item]
    return SupervisedProgram(roles, smoothing, decay, False, 2, "cpu"), model


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
