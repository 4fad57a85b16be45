"""Representations of returns against slow loops and closed forms: C51, two-hot, HL-Gauss, QR-DQN, IQN."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from composer.algorithms.losses.returns import (
    C51,
    Categorical,
    HLGauss,
    ImplicitQuantile,
    Point,
    Quantile,
    TwoHot,
    lowest,
    quantile_huber,
)

ATOMS, LOW, HIGH = 11, -2.0, 3.0
SPACING = 0.5


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def projected_slowly(points: list[float], probabilities: list[float]) -> Tensor:
    """The algorithm of arXiv:1707.06887 with its floor and ceiling, in double precision, one atom at a time."""
    result = torch.zeros(ATOMS, dtype=torch.float64)
    for point, probability in zip(points, probabilities, strict=True):
        position = (min(max(point, LOW), HIGH) - LOW) / SPACING
        lower, upper = math.floor(position), math.ceil(position)
        if lower == upper:  # What the printed algorithm forgets: both weights would be 0.
            result[lower] += probability
        else:
            result[lower] += probability * (upper - position)
            result[upper] += probability * (position - lower)
    return result


@pytest.mark.parametrize(
    ("shift", "scale"),
    [(0.0, 1.0), (0.5, 1.0), (-1.0, 1.0), (0.37, 0.9), (0.0, 0.0), (1.0, 0.0), (7.0, 0.9), (-9.0, 0.97), (0.25, 0.5)],
)
def test_c51_projects_as_the_slow_algorithm_does(shift: float, scale: float) -> None:
    """Atoms that land on atoms, between them, beyond both ends, or all on one."""
    raw = random(4, ATOMS)
    got = C51(ATOMS, LOW, HIGH).transform(raw, torch.full((4,), shift), torch.full((4,), scale))
    for row, logits in zip(got, raw, strict=True):
        moved = [shift + scale * (LOW + i * SPACING) for i in range(ATOMS)]
        expected = projected_slowly(moved, logits.double().softmax(-1).tolist())
        torch.testing.assert_close(row.double(), expected, rtol=0, atol=1e-6)
        assert row.sum().item() == pytest.approx(1, abs=1e-6)


def test_c51_moves_whole_atoms_exactly() -> None:
    """A shift by whole atoms shifts the probabilities and mixes none; the last atoms gather what left the support."""
    raw = random(ATOMS)
    p = raw.softmax(-1)
    returns = C51(ATOMS, LOW, HIGH)
    assert torch.equal(returns.transform(raw, torch.tensor(0.0), torch.tensor(1.0)), p)
    moved = returns.transform(raw, torch.tensor(2 * SPACING), torch.tensor(1.0))
    torch.testing.assert_close(moved[2:-1], p[:-3], rtol=0, atol=0)
    assert not moved[:2].any()
    assert moved[-1].item() == pytest.approx(p[-3:].sum().item(), abs=1e-7)


REPRESENTATIONS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "point": (Point(), ()),
    "c51": (C51(51, -10.0, 10.0), (51,)),
    "two_hot": (TwoHot(51, -10.0, 10.0), (51,)),
    "quantile": (Quantile(16, 1.0), (16,)),
}


def read(returns: Any, target: Tensor) -> Tensor:
    """The mean of a target, whose probabilities are no logits."""
    return returns.value(target.log() if isinstance(returns, Categorical) else target)


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_the_mean_of_a_target_is_the_target_of_the_mean(name: str) -> None:
    """Where nothing is clipped; the bonus is added before the scale."""
    returns, shape = REPRESENTATIONS[name]
    raw = random(6, *shape)
    shift, scale, bonus = random(6, seed=1), random(6, seed=2).sigmoid() * 0.7, random(6, seed=3)
    target = returns.transform(raw, shift, scale, bonus)
    torch.testing.assert_close(
        read(returns, target), shift + scale * (returns.value(raw) + bonus), rtol=1e-5, atol=1e-5
    )


def test_beyond_the_support_everything_lies_on_its_ends() -> None:
    raw, one = random(2, ATOMS), torch.ones(2)
    for returns in (C51(ATOMS, LOW, HIGH), TwoHot(ATOMS, LOW, HIGH)):
        target = returns.transform(raw, torch.tensor([99.0, -99.0]), one)
        torch.testing.assert_close(target, torch.eye(ATOMS)[[-1, 0]], rtol=0, atol=1e-6)
    mean = (HLGauss(ATOMS, LOW, HIGH, 0.75).transform(raw, torch.tensor([99.0, -99.0]), one) * torch.arange(ATOMS)).sum(
        -1
    )
    assert torch.isfinite(mean).all() and mean[0] > ATOMS - 2 and mean[1] < 1


def test_two_hot_has_two_neighbours_or_one_atom() -> None:
    returns = TwoHot(ATOMS, LOW, HIGH)
    target = returns.transform(random(3, ATOMS), torch.tensor([0.1, 0.5, HIGH]), torch.zeros(3))
    expected = torch.zeros(3, ATOMS)
    expected[0, 4], expected[0, 5] = 0.8, 0.2
    expected[1, 5] = expected[2, -1] = 1.0
    torch.testing.assert_close(target, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("ratio", [0.25, 0.75, 2.0])
def test_hl_gauss_is_the_mass_of_a_gaussian_in_each_bin(ratio: float) -> None:
    """Edges half a spacing around the atoms; divided by the mass between the outer ones."""
    points = [-1.9, 0.0, 0.77, 3.0]
    got = HLGauss(ATOMS, LOW, HIGH, ratio).transform(random(4, ATOMS), torch.tensor(points), torch.zeros(4))
    sigma = ratio * SPACING

    def below(x: float, mean: float) -> float:
        return 0.5 * (1 + math.erf((x - mean) / (sigma * math.sqrt(2))))

    for row, mean in zip(got.tolist(), points, strict=True):
        edges = [LOW + (i - 0.5) * SPACING for i in range(ATOMS + 1)]
        whole = below(edges[-1], mean) - below(edges[0], mean)
        expected = [(below(edges[i + 1], mean) - below(edges[i], mean)) / whole for i in range(ATOMS)]
        assert row == pytest.approx(expected, abs=1e-6)


def test_hl_gauss_keeps_the_mean_within() -> None:
    returns = HLGauss(51, -10.0, 10.0, 0.75)
    points = torch.linspace(-7, 7, 29)
    target = returns.transform(random(29, 51), points, torch.zeros(29))
    torch.testing.assert_close(read(returns, target), points, rtol=0, atol=1e-3)


def test_categorical_loss_is_the_cross_entropy_and_has_its_gradient() -> None:
    returns, raw = C51(ATOMS, LOW, HIGH), random(3, ATOMS).requires_grad_()
    target = random(3, ATOMS, seed=1).softmax(-1)
    loss = returns.loss(raw, target)
    expected = [
        -sum(p * math.log(q) for p, q in zip(*pair, strict=True))
        for pair in zip(target.tolist(), raw.softmax(-1).tolist(), strict=True)
    ]
    assert loss.tolist() == pytest.approx(expected, rel=1e-5)
    (gradient,) = torch.autograd.grad(loss.sum(), raw)
    torch.testing.assert_close(gradient, raw.softmax(-1) - target)


def quantile_huber_slowly(predicted: list[float], levels: list[float], target: list[float], kappa: float) -> float:
    total = 0.0
    for theta, tau in zip(predicted, levels, strict=True):
        for y in target:
            u = y - theta
            huber = (0.5 * u * u if abs(u) <= kappa else kappa * (abs(u) - 0.5 * kappa)) / kappa if kappa else abs(u)
            total += abs(tau - (u < 0)) * huber / len(target)
    return total


@pytest.mark.parametrize("kappa", [0.0, 0.3, 1.0, 5.0])
def test_quantile_huber_loss_as_two_loops(kappa: float) -> None:
    """Summed over predicted quantiles, averaged over targets, which may be more or fewer."""
    predicted, target = random(3, 2, 5), random(3, 1, 8, seed=1)
    levels = random(3, 2, 5, seed=2).sigmoid()
    fixed = Quantile(5, kappa)
    assert fixed.levels.tolist() == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])
    for loss, taus in [
        (ImplicitQuantile(kappa).loss((predicted, levels), target), levels),
        (fixed.loss(predicted, target), fixed.levels.expand(3, 2, 5)),
    ]:
        assert loss.shape == (3, 2)
        for row in range(3):
            for column in range(2):
                expected = quantile_huber_slowly(
                    predicted[row, column].tolist(), taus[row, column].tolist(), target[row, 0].tolist(), kappa
                )
                assert loss[row, column].item() == pytest.approx(expected, rel=1e-5)


def test_descent_on_the_quantile_loss_ends_at_the_quantiles() -> None:
    """With the absolute loss a minimiser at level tau has a share tau of the samples below it; Huber's is near it."""
    samples = random(1001).exp()  # Skewed.
    levels = torch.tensor([0.1, 0.25, 0.5, 0.9])
    found = torch.zeros(4, requires_grad=True)
    for step in range(400):
        (gradient,) = torch.autograd.grad(quantile_huber(found, levels, samples, 0.0), found)
        found = (found - 3.0 / (1 + 0.05 * step) * gradient).detach().requires_grad_()
    torch.testing.assert_close(found.detach(), samples.quantile(levels), rtol=0.02, atol=0.02)
    (gradient,) = torch.autograd.grad(quantile_huber(found, levels, samples, 1e-3), found)
    assert gradient.abs().max() < 0.01


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_lowest_takes_whole_distributions_and_the_minimum_of_points(copies: int) -> None:
    returns, raw = C51(ATOMS, LOW, HIGH), random(2, copies, 6, ATOMS)
    value = returns.value(raw)
    taken = lowest(raw, value, 1)
    assert isinstance(taken, Tensor)
    for seed in range(2):
        for sample in range(6):
            best = min(range(copies), key=lambda copy: value[seed, copy, sample].item())
            assert torch.equal(taken[seed, sample], raw[seed, best, sample])
    points = random(2, copies, 6)
    assert torch.equal(lowest(points, points, 1), points.amin(1))
    pair = lowest((raw, 2 * raw), value, 1)
    assert torch.equal(pair[0], taken) and torch.equal(pair[1], 2 * taken)


def test_averages_are_mixtures_of_probabilities_and_means_of_quantiles() -> None:
    raw = random(2, 3, 4, ATOMS)
    mixture = C51(ATOMS, LOW, HIGH).average(raw, 1)
    torch.testing.assert_close(mixture.softmax(-1), raw.softmax(-1).mean(1))
    assert torch.equal(Quantile(ATOMS, 1.0).average(raw, 1), raw.mean(1))
    values, levels = ImplicitQuantile(1.0).average((raw, raw.sigmoid()), 1)
    assert torch.equal(values, raw.mean(1)) and torch.equal(levels, raw.sigmoid().mean(1))
