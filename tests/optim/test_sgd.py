"""The stacked SGD and RMSProp against ``torch.optim``, a seed at a time; compiled updates against eager ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from dispatched import captured_without_code
from surgeon import Patient
from tiny_runs import tiny
from torch_optimizers import SHAPES, check, gradients, numbers, parameters, torchs

from composer.blueprint import BlueprintError
from composer.optim import Rmsprop, Sgd
from composer.optim.schedules import Linear
from composer.training.compile.capture import Choice

SGD: list[dict[str, Any]] = [{}, {"momentum": 0.9}, {"momentum": 0.8, "nesterov": True}]
RMSPROP: list[dict[str, Any]] = [
    {}, {"beta2": 0.95, "epsilon": 1e-5}, {"centered": True, "epsilon": 1e-3}, {"momentum": 0.9},
    {"momentum": 0.5, "centered": True, "epsilon": 1e-2},
]  # fmt: skip


@pytest.mark.parametrize("given", SGD)
def test_sgd_is_torchs(given: dict[str, Any]) -> None:
    ours, make = parameters(2), lambda groups: torch.optim.SGD(groups, lr=1e-3, **given)
    spec = Sgd.model_validate({"learning_rate": 1e-3, **given})
    state = spec.build(ours, numbers(2))
    assert len(state.moments("head.weight")) == spec.moments()
    check(state, ours, [torchs(make, seed, 2, set(SHAPES)) for seed in range(2)], 2)


@pytest.mark.parametrize("given", RMSPROP)
def test_rmsprop_is_torchs(given: dict[str, Any]) -> None:
    names = {"beta2": "alpha", "epsilon": "eps"}
    theirs = {names.get(key, key): value for key, value in given.items()}
    ours, make = parameters(2), lambda groups: torch.optim.RMSprop(groups, lr=1e-3, **theirs)
    spec = Rmsprop.model_validate({"learning_rate": 1e-3, **given})
    state = spec.build(ours, numbers(2))
    assert len(state.moments("head.weight")) == spec.moments()
    check(state, ours, [torchs(make, seed, 2, set(SHAPES)) for seed in range(2)], 2)


def test_gradients_that_stay_as_they_are_have_no_variance_below_zero() -> None:
    """As those of an L2 penalty on weights that no loss reaches; of ``torch.optim.RMSprop`` a quarter become NaN."""
    ours, drawn = parameters(2), gradients(2, 0)
    state = Rmsprop(beta2=0.95, epsilon=0.01, centered=True).build(ours, numbers(2))
    for _ in range(400):
        state.step([value * 1e-3 for value in drawn.values()])
    assert all(value.isfinite().all() for value in ours.values())


def test_epsilon_inside_of_the_root_is_that_of_the_agent_of_2015() -> None:
    """Against the published recursion, Mnih et al., 2015: g / sqrt(n - m^2 + 0.01), decay 0.95, without a momentum."""
    ours, theirs, spec = parameters(2), parameters(2), Rmsprop(beta2=0.95, epsilon=0.01, centered=True, inside=True)
    state = spec.build(ours, numbers(2))
    square, mean = ({path: torch.zeros_like(value) for path, value in theirs.items()} for _ in range(2))
    for step in range(8):
        drawn = gradients(2, step)
        state.step(list(drawn.values()))
        for path, gradient in drawn.items():
            square[path] = 0.95 * square[path] + 0.05 * gradient**2
            mean[path] = 0.95 * mean[path] + 0.05 * gradient
            theirs[path] -= 0.01 * gradient / (square[path] - mean[path] ** 2 + 0.01).sqrt()
    for path, value in ours.items():
        torch.testing.assert_close(value, theirs[path], rtol=1e-5, atol=1e-6)


def test_rates_fall_and_gradients_are_bounded_as_declared() -> None:
    """Closed form: gradients of 3 and 4 are of norm 5, and are scaled to 1; the rate halves at the second step."""
    ours = {"w": torch.zeros(1, 1, 2)}
    rate = Linear(start=0.2, end=0.1, updates=1)
    state = Sgd(learning_rate=rate, max_gradient_norm=1.0).build(ours, numbers(1))
    for total in (0.2, 0.3):
        state.step([torch.tensor([[[3.0, 4.0]]])])
        torch.testing.assert_close(ours["w"], -total * torch.tensor([[[0.6, 0.8]]]))
    assert state.clock().tolist() == [2.0] and state.moments("w") == ()


def test_a_saved_state_continues_exactly() -> None:
    """The tensors of ``tensors`` are all that a step reads and writes beside the parameters."""
    spec = Rmsprop(momentum=0.9, centered=True)
    whole, half = parameters(2), parameters(2)
    one, two = spec.build(whole, numbers(2)), spec.build(half, numbers(2))
    for step in range(6):
        one.step(list(gradients(2, step).values()))
        if step == 2:
            for name, value in one.tensors().items():
                two.tensors()[name].copy_(value)
            for path, value in whole.items():
                half[path].copy_(value)
        if step > 2:
            two.step(list(gradients(2, step).values()))
    assert all(torch.equal(whole[path], half[path]) for path in whole)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(BlueprintError, match="nesterov: needs a momentum above 0"):
        tiny("optimizers.actor={ kind = 'sgd', nesterov = true }")
    with pytest.raises(BlueprintError, match="momentum: must be"):
        tiny("optimizers.actor={ kind = 'rmsprop', momentum = 1.0 }")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sgd", "rmsprop"])
def test_compiled_and_eager_steps_agree(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone traces these steps inside an update of several seeds, and compares its numbers."""
    captured_without_code(monkeypatch)
    more = ", centered = true, epsilon = 1e-3" if kind == "rmsprop" else ", nesterov = true"
    declared = f"optimizers.critic={{ kind = '{kind}', learning_rate = 1e-3, momentum = 0.9{more} }}"
    eager, compiled = (
        Patient("seeds=[0, 1]", declared),
        Patient("seeds=[0, 1]", declared, choice=Choice(True, "a test")),
    )
    for patient in (eager, compiled):
        patient.update(6)
    theirs = eager.state()
    for name, value in compiled.state().items():
        torch.testing.assert_close(value, theirs[name], rtol=2e-4, atol=2e-5, msg=name)
