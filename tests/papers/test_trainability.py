"""Trainability against a task whose best fit is known, and what it must leave alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from composer.diagnostics.fitting import entries, random_wave, trainability
from composer.networks.blocks import Block
from composer.networks.heads import Scalar
from composer.networks.network import Network
from composer.networks.outline import Outline
from composer.networks.stacked import Stacked, Template, fresh_buffers, fresh_stack

BLOCKS: TypeAdapter[Block] = TypeAdapter(Block)
LINEAR = [{"kind": "linear", "width": 4}]
RELU = [{"kind": "linear", "width": 128}, {"kind": "relu"}]


def network(trunk: Any, seeds: int = 2, copies: int = 1) -> tuple[Stacked, Outline]:
    made = Network(trunk=BLOCKS.validate_python(trunk), head=Scalar())
    outline, numbers = made.outline((4,), 1), range(seeds)
    parameters = fresh_stack(outline, numbers, copies, "test")
    buffers = fresh_buffers(outline, numbers, copies, "test")
    return Stacked(Template(partial(made.build, (4,), 1)), parameters, buffers), outline


def inputs(seeds: int = 2, batch: int = 30) -> Tensor:
    return torch.randn(seeds, batch, 4, generator=torch.Generator().manual_seed(0))


def wave(stack: Stacked, outline: Outline, x: Tensor, number: int = 0) -> Tensor:
    return random_wave(stack.template, outline, range(stack.seeds), stack.copies, x, number)


def test_a_linear_network_reaches_the_least_squares_fit_and_no_more() -> None:
    stack, outline = network(LINEAR)
    x = inputs()
    targets = wave(stack, outline, x)
    with_ones = torch.cat([x, torch.ones(2, 30, 1)], -1)
    solution = torch.linalg.lstsq(with_ones, targets[:, 0]).solution
    left = (with_ones @ solution - targets[:, 0]).square().mean((1, 2))
    best = 1 - left / targets.var(2, correction=0).mean((1, 2))
    torch.testing.assert_close(trainability(stack, outline, x, targets, 1_500, 1e-2), best, rtol=1e-3, atol=1e-3)


def test_before_any_step_only_the_spread_of_the_network_itself_is_missing() -> None:
    """The target is its mean plus the wave: what is left is the wave minus the network's own deviations."""
    stack, outline = network(RELU)
    x = inputs()
    targets = wave(stack, outline, x)
    out = entries(stack(x)).detach()
    left = (out - out.mean(2, keepdim=True) - targets).square().mean((1, 2, 3))
    torch.testing.assert_close(
        trainability(stack, outline, x, targets, 0), 1 - left / targets.var(2, correction=0)[:, 0, 0]
    )


def test_an_offset_of_the_output_changes_nothing() -> None:
    stack, outline = network(RELU)
    x = inputs()
    targets = wave(stack, outline, x)
    near = trainability(stack, outline, x, targets, 20)
    with torch.no_grad():
        stack.parameters["head.linear.bias"].add_(10.0)
    torch.testing.assert_close(trainability(stack, outline, x, targets, 20), near, rtol=1e-3, atol=1e-3)


def test_a_network_of_dead_units_learns_no_more_than_a_constant() -> None:
    stack, outline = network(RELU)
    x = inputs()
    targets = wave(stack, outline, x)
    alive = trainability(stack, outline, x, targets, 400, 3e-3)
    with torch.no_grad():
        stack.parameters["trunk.0.bias"][1] = -1e3  # Of the second seed only.
    found = trainability(stack, outline, x, targets, 400, 3e-3)
    assert float(alive[1]) > 0.8
    assert float(found[1]) == pytest.approx(0.0, abs=0.02)
    assert float(found[0]) == pytest.approx(float(alive[0]), abs=1e-5)


def test_targets_are_unrelated_between_numbers_seeds_and_copies_and_come_again() -> None:
    stack, outline = network(RELU, copies=2)
    x = inputs(batch=2_000)
    first, second = wave(stack, outline, x, 0), wave(stack, outline, x, 1)
    assert first.shape == (2, 2, 2_000, 1)
    assert torch.equal(first, wave(stack, outline, x, 0))
    rows = torch.cat([first, second]).flatten(0, 1)[..., 0]
    assert torch.corrcoef(rows).fill_diagonal_(0).abs().max() < 0.1
    # A sine of a uniform phase: mean 0, variance 1/2, whatever the network's scale.
    assert rows.mean(1).abs().max() < 0.1
    torch.testing.assert_close(rows.var(1), torch.full((8,), 0.5), rtol=0.1, atol=0.0)


def test_the_network_itself_learns_nothing_and_its_statistics_see_nothing() -> None:
    stack, outline = network([{"kind": "linear", "width": 8}, {"kind": "batch_norm"}, {"kind": "relu"}])
    before = {path: value.detach().clone() for path, value in stack.tensors().items()}
    x = inputs()
    assert stack.buffers
    changed = trainability(stack, outline, x, wave(stack, outline, x), 30)
    assert torch.isfinite(changed).all()
    for path, value in stack.tensors().items():
        assert torch.equal(value, before[path]), path
        assert value.grad is None


def test_the_copy_learns_in_training_mode_and_is_judged_in_evaluation_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its statistics move with it: those of the first layer's outputs, whose mean is that of the inputs."""
    from composer.diagnostics import fitting

    stack, outline = network([{"kind": "linear", "width": 8}, {"kind": "batch_norm"}, {"kind": "relu"}])
    copies = []
    copy = fitting._copy
    monkeypatch.setattr(fitting, "_copy", lambda of: copies.append(copy(of)) or copies[-1])
    x = inputs() + 5.0
    trainability(stack, outline, x, wave(stack, outline, x), 3)
    moved = {path for path, value in copies[0].buffers.items() if not torch.equal(value, stack.buffers[path])}
    assert any("mean" in path for path in moved)
    modes: list[bool] = []
    call = Stacked.__call__
    monkeypatch.setattr(
        Stacked, "__call__", lambda self, x, training=False: modes.append(training) or call(self, x, training)
    )
    trainability(stack, outline, x, torch.zeros(2, 1, 30, 1), 2)
    assert modes == [False, True, True, False]


def test_weights_on_the_sphere_stay_there_while_the_copy_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    from composer.diagnostics import fitting

    stack, outline = network([{"kind": "linear", "width": 16, "unit_norm": "rows", "bias": False}, {"kind": "relu"}])
    copies = []
    copy = fitting._copy
    monkeypatch.setattr(fitting, "_copy", lambda of: copies.append(copy(of)) or copies[-1])
    x = inputs()
    trainability(stack, outline, x, wave(stack, outline, x), 10, 1e-2)
    kept = {path: plan for path, plan in outline.named_parameters() if plan.unit_axis is not None}
    assert kept
    for path, plan in kept.items():
        assert plan.unit_axis is not None
        norms = copies[0].parameters[path].norm(dim=plan.unit_axis % len(plan.shape) + 2)
        torch.testing.assert_close(norms, torch.ones_like(norms))
        assert not torch.equal(copies[0].parameters[path], stack.parameters[path])


def test_outputs_of_every_form_are_vectors() -> None:
    value, pair = torch.zeros(2, 1, 5), (torch.zeros(2, 1, 5, 3), torch.ones(2, 1, 5, 2, 4))
    assert entries(value).shape == (2, 1, 5, 1)
    assert entries(pair).shape == (2, 1, 5, 3 + 8)
