"""Trainability: what a copy of a network reaches on a fresh random task. Tests: tests/papers/test_trainability.py.

Source: Lyle et al., "Understanding plasticity in neural networks", arXiv:2303.01486, Eq. 4, 5 and appendix A.
Legend: S seeds, C copies, B batch, m entries of the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from composer.members import Stacked, fresh_buffers, fresh_stack
from composer.nn.projection import to_unit_norm
from composer.optim import Adam
from composer.shapes import Outline

FREQUENCY = 1e5
"""Of the sine around a random network's output: so high that neighbouring inputs have unrelated targets."""


class Task(NamedTuple):
    """What copies are trained on."""

    inputs: Tensor
    """``[S, B, ...]``, what the network reads; each step takes all of them."""
    outline: Outline
    """Of one copy of the network: how random ones are drawn."""
    seeds: Sequence[int]
    steps: int
    """Optimizer steps."""
    targets: int
    """Random functions, each fitted by a copy of its own."""


def trainability(network: Stacked, task: Task, learning_rate: float = 1e-3) -> Tensor:
    """``1 - error / variance of the targets`` after ``task.steps`` steps of Adam, ``[S]``; the network stays as it is.

    A mean over random targets, copies and entries of the output; below 0 where the copy does worse than a constant.
    """
    return torch.stack([_fitted(network, task, number, learning_rate) for number in range(task.targets)]).mean(0)


def random_targets(network: Stacked, task: Task, number: int) -> Tensor:
    """``g(x) = mean f(x) + sin(1e5 f'(x))``, ``[S, C, B, m]``: f' is drawn for seed, copy and ``number``.

    Around the network's mean output, so that a network whose outputs are far from 0 has no longer way to go.
    """
    stream = ("probe", "trainability", number)
    device = str(task.inputs.device)
    other = Stacked(
        network.template,
        fresh_stack(task.outline, task.seeds, network.copies, *stream, device=device),
        fresh_buffers(task.outline, task.seeds, network.copies, *stream, device=device),
    )
    with torch.no_grad():
        centre = _entries(network(task.inputs)).mean(2, keepdim=True)
        return centre + (FREQUENCY * _entries(other(task.inputs))).sin()


def _fitted(network: Stacked, task: Task, number: int, learning_rate: float) -> Tensor:
    target = random_targets(network, task, number)
    learner = _copy(network)
    trained = {path: value for path, value in learner.parameters.items() if value.requires_grad}
    on_sphere = [
        (learner.parameters[path], plan.unit_axis % len(plan.shape) - len(plan.shape))
        for path, plan in task.outline.named_parameters()
        if plan.unit_axis is not None and plan.trainable
    ]
    optimizer = Adam(learning_rate=learning_rate).build(trained, network.seeds)  # type: ignore[arg-type]
    for _ in range(task.steps):
        loss = (_entries(learner(task.inputs, training=True)) - target).square().mean((1, 2, 3)).sum()
        optimizer.step(torch.autograd.grad(loss, list(trained.values()), allow_unused=True, materialize_grads=True))
        with torch.no_grad():
            for value, axis in on_sphere:
                value.copy_(to_unit_norm(value, axis))
    with torch.no_grad():
        error = (_entries(learner(task.inputs)) - target).square().mean((1, 2, 3))
        return 1 - error / target.var(2, correction=0).mean((1, 2))


def _copy(network: Stacked) -> Stacked:
    parameters = {
        path: value.detach().clone().requires_grad_(value.requires_grad) for path, value in network.parameters.items()
    }
    return Stacked(network.template, parameters, {path: value.clone() for path, value in network.buffers.items()})


def _entries(output: Any) -> Tensor:
    """Whatever a head returns, ``[S, C, B, ...]``, as vectors ``[S, C, B, m]``."""
    parts = output if isinstance(output, tuple) else (output,)
    return torch.cat([part[..., None].flatten(3) for part in parts], -1)
