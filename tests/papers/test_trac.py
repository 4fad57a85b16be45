"""TRAC, arXiv:2405.16642, against the algorithm written out for one seed in float64, with erfi by its power series."""

from __future__ import annotations

import math

import pytest
import torch
from surgeon import Patient
from tiny_runs import tiny
from torch import Tensor
from torch_optimizers import SHAPES, numbers

from composer.blueprint import BlueprintError
from composer.optim import Sgd, Trac
from composer.optim.trac_steps import DECAYS, erfi

RATE = 0.0625
TRAC = "optimizers.critic={ kind = 'trac', base = { kind = 'adam', learning_rate = 1e-3 } }"


def series(x: float) -> float:
    """``2 / sqrt(pi) sum x^(2n+1) / (n! (2n+1))``."""
    return 2 / math.sqrt(math.pi) * math.fsum(x ** (2 * n + 1) / math.factorial(n) / (2 * n + 1) for n in range(120))


def drawn(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {path: torch.randn(2, 2, *shape, dtype=torch.float64, generator=generator) for path, shape in SHAPES.items()}


def flat(values: dict[str, Tensor], seed: int) -> Tensor:
    return torch.cat([value[seed].flatten() for value in values.values()])


@pytest.mark.parametrize("x", [0.0, 1e-9, -0.3, 0.7071, 2.0, -4.5])
def test_erfi_is_its_power_series(x: float) -> None:
    assert erfi(torch.tensor(x, dtype=torch.float64)).item() == pytest.approx(series(x), rel=1e-12, abs=1e-24)


class Reference:
    """One seed of it around plain gradient descent."""

    def __init__(self, weights: Tensor) -> None:
        self.first, self.weights = weights.clone(), weights.clone()
        self.sums, self.squares, self.scale = [1e-8] * 6, [0.0] * 6, 6e-8

    def step(self, gradient: Tensor) -> None:
        moved = (self.weights - self.first) / (self.scale + 1e-8)
        product, self.scale = float(moved @ gradient), 0.0
        for i, decay in enumerate(DECAYS):
            self.squares[i] = decay**2 * self.squares[i] + product**2
            self.sums[i] = decay * self.sums[i] - product
            ratio = self.sums[i] / (math.sqrt(2 * self.squares[i]) + 1e-8)
            self.scale += 1e-8 * series(ratio) / series(math.sqrt(0.5))
        self.weights = self.first + max(self.scale, 0.0) * (moved - RATE * gradient)


def test_steps_are_those_of_the_algorithm() -> None:
    """A slope that stays lets the scale grow by orders of magnitude; noise and a turn of the slope shrink it."""
    ours = drawn(0)
    state = Trac(base=Sgd(learning_rate=RATE)).build(ours, numbers(2))
    references = [Reference(flat(ours, seed)) for seed in range(2)]
    slope, scales = drawn(1), []
    for step in range(60):
        noise, turn = drawn(step + 2), 1 if step < 40 else -0.5
        gradients = {path: turn * value + 0.2 * noise[path] for path, value in slope.items()}
        state.step(list(gradients.values()))
        for seed, reference in enumerate(references):
            reference.step(flat(gradients, seed))
            # The rate is a float32 number.
            torch.testing.assert_close(flat(ours, seed), reference.weights, rtol=1e-9, atol=1e-12)
        scales.append(references[0].scale)
    assert max(scales) > 1e2 * scales[0] and scales[-1] < max(scales)
    assert state.count("head.weight").tolist() == [60, 60], "the counts of the base"


def test_a_network_learns_with_it_and_a_saved_state_goes_on() -> None:
    whole, half = Patient("seeds=[0, 5]", TRAC), Patient("seeds=[0, 5]", TRAC)
    whole.update(4)
    saved = whole.state()
    first = "optimizers/critic/first_weights.trunk.0.weight"
    assert torch.equal(saved[first], half.state()["networks/critic/trunk.0.weight"])
    for key, value in half.learner.tensors().items():
        value.data.copy_(saved[key])
    half.updates = 4
    for each in (whole, half):
        for number, generator in enumerate(each.learner._generators):
            generator.manual_seed(number)
        each.update(2)
    theirs = whole.state()
    assert all(torch.equal(value, theirs[key]) for key, value in half.state().items())


def test_an_injection_carries_scales_and_first_weights() -> None:
    injection = (
        "interventions.it={ when = { kind = 'at', steps = [3], clock = 'update' }, where = ['critic.*'], "
        "do = { kind = 'inject' }, target = 'follow' }"
    )
    it = Patient("seeds=[0, 5]", TRAC, injection)
    it.update(2)
    before = it.state()
    it.update(1)
    after = it.state()
    assert it.events and (after["optimizers/critic/trac_squares"] >= before["optimizers/critic/trac_squares"]).any()
    it.update(2)
    assert all(bool(torch.isfinite(value).all()) for value in it.state().values() if value.is_floating_point())


def test_what_cannot_be_scaled_is_refused() -> None:
    sam = "{ kind = 'sam', base = { kind = 'adam' } }"
    with pytest.raises(BlueprintError, match="the optimizer that is scaled; it cannot be 'sam'"):
        tiny(f"optimizers.critic={{ kind = 'trac', base = {sam} }}")
    around = "{ kind = 'sam', base = { kind = 'trac', base = { kind = 'adam', learning_rate = 1e-3 } } }"
    assert tiny(f"optimizers.critic={around}").optimizers["critic"].stepping.kind == "adam"
