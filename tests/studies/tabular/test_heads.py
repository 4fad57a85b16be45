"""The heads that agents learn with do what the tabular experiments do: same projection, same direction of learning."""

from __future__ import annotations

import numpy as np
import torch

from composer.algorithms.losses.returns import C51, Quantile
from composer.studies.tabular import categorical, quantile
from composer.studies.tabular.categorical import Atoms


def test_c51_targets_are_those_of_the_tabular_experiment() -> None:
    rng = np.random.default_rng(0)
    atoms, discount = Atoms(-10.0, 10.0, 51), 0.9
    head = C51(atoms.count, atoms.low, atoms.high)
    logits, rewards = rng.normal(size=(64, 51)), rng.normal(size=64) * 6
    rewards[:2] = 0.0, 1.0  # Atoms moved onto atoms; the last draws are clipped.
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    target = head.transform(
        torch.tensor(logits, dtype=torch.float32),
        torch.tensor(rewards, dtype=torch.float32),
        torch.full((64,), discount),
    )
    moved = rewards[:, None] + discount * atoms.points
    assert (moved < atoms.low).any() and (moved > atoms.high).any()
    np.testing.assert_allclose(target, categorical.project(moved, chances, atoms), atol=2e-6)
    # So is the step of tabular categorical TD, that goes all the way to its target.
    cdf = np.repeat(chances.cumsum(-1)[:, None], 1, axis=1)
    learned = categorical.update(cdf, rewards[:, None], np.zeros((64, 1), np.int64), discount, atoms, 1.0)
    np.testing.assert_allclose(target.cumsum(-1), learned[:, 0], atol=1e-5)


def test_quantile_loss_descends_as_qtd_steps() -> None:
    """At a threshold of zero they are one formula; at a small one they agree wherever no error is as small."""
    rng = np.random.default_rng(1)
    m, discount = 8, 0.9
    theta, rewards = np.sort(rng.normal(size=(5, 1, m)), -1), rng.normal(size=(5, 1))
    step = quantile.update(theta, rewards, np.zeros((5, 1), np.int64), discount, 1.0) - theta
    assert (step > 0).any() and (step < 0).any()
    for kappa in (0.0, 1e-6):
        head = Quantile(m, kappa)
        raw = torch.tensor(theta[:, 0], dtype=torch.float32, requires_grad=True)
        target = head.transform(raw.detach(), torch.tensor(rewards[:, 0], dtype=torch.float32), torch.tensor(discount))
        (gradient,) = torch.autograd.grad(head.loss(raw, target).sum(), raw)
        np.testing.assert_allclose(-gradient, step[:, 0], atol=1e-6)
