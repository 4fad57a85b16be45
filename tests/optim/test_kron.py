"""Kron against a plain reference in float64, one member at a time; probability, balance, resets and resume."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch_optimizers import gradients, numbers, parameters

from composer.networks.modules.noise import normal, uniform
from composer.optim import Kron
from composer.optim.kron_steps import balance, spectral_lower_bound

KEYS = (11, 12)
STEPS = 12


def _column_bound(matrix: Tensor) -> Tensor:
    """From the longest column of a symmetric matrix, one power step."""
    column = matrix[:, max(range(len(matrix)), key=lambda i: float(matrix[:, i] @ matrix[:, i]))]
    reached = matrix @ column
    return (matrix @ (reached / reached.norm())).norm()


class Reference:
    """One seed's parameters, each copy a matrix or vector, with explicit inverses and a full Kronecker product."""

    def __init__(self, values: dict[str, Tensor], key: int, spec: Kron) -> None:
        self.values = {path: value.double().clone() for path, value in values.items()}
        self.means = {path: torch.zeros_like(value) for path, value in self.values.items()}
        self.factors = {
            path: [[self._first(n, value.ndim > 2) for n in value.shape[1:]] for _ in value]
            for path, value in self.values.items()
        }
        self.key, self.draws, self.steps, self.spec = torch.tensor(key), 0, 0, spec

    @staticmethod
    def _first(size: int, triangular: bool) -> Tensor:
        return torch.eye(size).double() if triangular and size > 1 else torch.ones(size).double()

    def _unit(self) -> float:
        self.draws += 1
        return float(uniform(self.key, torch.tensor(self.draws - 1), (1,))[0])

    def step(self, gradients: dict[str, Tensor]) -> None:
        spec = self.spec
        fall = math.exp(-spec.probability_decay * (self.steps - spec.flat_updates))
        due = self._unit() < max(min(fall, 1.0), spec.least_probability)
        even = self._unit() < 0.01 and due
        self.steps += 1
        for path, value in self.values.items():
            self.means[path] = 0.9 * self.means[path] + 0.1 * gradients[path].double()
            mean = self.means[path] / (1 - 0.9**self.steps)
            probe = normal(self.key, torch.tensor(self.draws), tuple(value.shape)).double()
            self.draws += 1
            for copy in range(len(value)):
                factors = self.factors[path][copy]
                if even and len(factors) > 1:
                    sizes = [float(q.abs().max()) for q in factors]
                    factors[:] = [
                        q * math.sqrt(sizes[0] * sizes[1]) / size for q, size in zip(factors, sizes, strict=True)
                    ]
                if due:
                    factors[:] = self._moved(factors, mean[copy], probe[copy])
                dense = [q if q.ndim > 1 else q.diag() for q in factors]
                if len(dense) == 1:
                    step = dense[0] @ dense[0] @ mean[copy]
                else:
                    whole = torch.kron(dense[0].T @ dense[0], dense[1].T @ dense[1])
                    step = (whole @ mean[copy].flatten()).view(value.shape[1:])
                step = step * min(1.0, spec.clip / (float(step.square().mean().sqrt()) + 1e-12))
                decay = spec.weight_decay * value[copy] if value.ndim > 2 else 0.0
                value[copy] -= 3e-4 * (step + decay)

    def _moved(self, factors: list[Tensor], mean: Tensor, probe: Tensor) -> list[Tensor]:
        dense = [q if q.ndim > 1 else q.diag() for q in factors]
        if len(dense) == 1:
            a, b = dense[0] @ mean, torch.linalg.inv(dense[0]) @ probe
            grams = [(a.outer(a), b.outer(b))]
        else:
            a = dense[0] @ mean @ dense[1].T
            b = torch.linalg.inv(dense[0]).T @ probe @ torch.linalg.inv(dense[1])
            grams = [(a @ a.T, b @ b.T), (a.T @ a, b.T @ b)]
        found = []
        for factor, (one, two) in zip(factors, grams, strict=True):
            if factor.ndim == 1:
                change = 0.1 * (one - two).diagonal() * factor
                found.append(factor - change / (one + two).diagonal().max())
            else:
                found.append(factor - 0.1 * ((one - two).triu() / _column_bound(one + two)) @ factor)
        return found


def test_steps_are_those_of_a_plain_reference() -> None:
    """Every update moves the factors at first; then some do, which each seed draws for itself."""
    spec = Kron(flat_updates=4, probability_decay=0.5, least_probability=0.3, weight_decay=0.1)
    ours = parameters(2)
    theirs = [Reference({path: value[s] for path, value in ours.items()}, KEYS[s], spec) for s in range(2)]
    state = spec.build(ours, numbers(2), KEYS)
    for step in range(STEPS):
        drawn = {path: value / 10 for path, value in gradients(2, step % 4).items()}
        state.step(list(drawn.values()))
        for seed, reference in enumerate(theirs):
            reference.step({path: value[seed] for path, value in drawn.items()})
            for path, value in reference.values.items():
                torch.testing.assert_close(ours[path][seed].double(), value, rtol=1e-4, atol=1e-5, msg=f"{path} {step}")
    for seed, reference in enumerate(theirs):
        assert int(state.counters()[1][seed]) == reference.draws
        for number, factor in enumerate(reference.factors["trunk.0.weight"][0]):
            kept = state.tensors()[f"factor.{number}.trunk.0.weight"]
            torch.testing.assert_close(kept[seed, 0].double(), factor, rtol=1e-3, atol=1e-4)
    assert not torch.equal(*state.tensors()["factor.0.trunk.0.weight"])
    shapes = {path: tuple(value.shape[2:]) for path, value in ours.items()}
    entries = sum(math.prod(value.shape[2:]) for key, value in state.tensors().items() if key[:4] in ("mean", "fact"))
    assert spec.entries(shapes) == entries


def test_balance_keeps_the_product_and_the_bound_is_one() -> None:
    """Closed forms: both largest entries become the geometric mean, and one power step is at most the norm."""
    generator = torch.Generator().manual_seed(3)
    one, two = (torch.randn(2, 1, n, n, generator=generator).triu() * s for n, s in ((3, 10.0), (4, 0.1)))
    a, b = balance([one, two])
    torch.testing.assert_close(a.flatten(2).abs().amax(2), b.flatten(2).abs().amax(2))
    torch.testing.assert_close(a[0, 0, 0, 0] * b[0, 0, 1, 1], one[0, 0, 0, 0] * two[0, 0, 1, 1])
    gram = one @ one.mT
    bound, norm = spectral_lower_bound(gram), torch.linalg.matrix_norm(gram, 2)
    assert (bound <= norm * 1.00001).all() and (bound > 0.8 * norm).all()
    assert not spectral_lower_bound(torch.zeros(1, 1, 3, 3)).any()


def test_a_saved_state_continues_exactly_and_a_reset_begins_anew() -> None:
    """Tensors hold the random stream too; one seed's factors become the identity, the other's stay."""
    spec = Kron(flat_updates=2, probability_decay=1.0, least_probability=0.5)
    whole, half = parameters(2), parameters(2)
    one, two = spec.build(whole, numbers(2), KEYS), spec.build(half, numbers(2), (0, 0))
    for step in range(8):
        one.step(list(gradients(2, step).values()))
        if step == 3:
            for name, value in one.tensors().items():
                two.tensors()[name].copy_(value)
            for path, value in whole.items():
                half[path].copy_(value)
        if step > 3:
            two.step(list(gradients(2, step).values()))
    assert all(torch.equal(whole[path], half[path]) for path in whole)
    before = one.tensors()["factor.1.trunk.0.weight"].clone()
    one.begin_anew("trunk.0.weight", torch.tensor([True, False]))
    after = one.tensors()["factor.1.trunk.0.weight"]
    assert torch.equal(after[0], torch.eye(3).expand(2, 3, 3)) and torch.equal(after[1], before[1])
    assert one.count("trunk.0.weight").tolist() == [0.0, 8.0] and one.count("head.weight").tolist() == [8.0, 8.0]


@pytest.mark.slow
def test_a_traced_step_is_the_eager_one() -> None:
    """Tracing takes seconds: one graph without branches, with the same draws, of which some move no factor."""
    spec = Kron(flat_updates=1, probability_decay=1.0, least_probability=0.3)
    eager, traced = parameters(2, 1), parameters(2, 1)
    one, two = spec.build(eager, numbers(2), KEYS), spec.build(traced, numbers(2), KEYS)
    step = torch.compile(two.step, fullgraph=True, dynamic=False, backend="eager")
    for number in range(6):
        one.step(list(gradients(2, number, 1).values()))
        step(list(gradients(2, number, 1).values()))
    for name, value in one.tensors().items():
        torch.testing.assert_close(two.tensors()[name], value, rtol=1e-5, atol=1e-6, msg=name)
    assert all(torch.allclose(eager[path], traced[path], rtol=1e-5, atol=1e-6) for path in eager)
