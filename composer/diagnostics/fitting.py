"""Trainability: how well a copy of a network fits a fresh random task. Tests: tests/papers/test_trainability.py.

Source: Lyle et al., "Understanding plasticity in neural networks", arXiv:2303.01486, Eq. 4, 5 and appendix A.
Legend: S seeds, C copies, B batch, m entries of the output.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from composer.networks.modules.projection import project
from composer.networks.outline import Outline
from composer.networks.stacked import Stacked, Template, fresh_buffers, fresh_stack
from composer.optim import Adam
from composer.optim.hyperparameters import Hyperparameters
from composer.optim.schedules import Constant

FREQUENCY = 1e5
"""Frequency of the sine around a random network's output: neighbouring inputs get unrelated targets."""


def trainability(
    network: Stacked, outline: Outline, inputs: Tensor, wave: Tensor, steps: int, learning_rate: float = 1e-3
) -> Tensor:
    """``1 - error / variance of the targets`` after ``steps`` steps of Adam, ``[S]``; the network is not changed."""
    *_, (_, share) = fitted(network, outline, inputs, wave, steps, steps, learning_rate)
    return share


def fitted(
    network: Stacked, outline: Outline, inputs: Tensor, wave: Tensor, steps: int, every: int, rate: float = 1e-3
) -> Iterator[tuple[int, Tensor]]:
    """Step and ``1 - error / variance of the targets``, ``[S]``, of a copy of the network that learns the targets.

    Targets are ``g(x) = mean f(x) + wave(x)``, around the network's mean output on ``inputs``, so that a network whose
    outputs are far from 0 has no longer way to go. Each step takes all inputs. Errors and variances are means over
    copies and entries of the output; below 0 the copy does worse than a constant would.

    Args:
        network: f, S seeds and C copies; its modules in training mode while the copy learns.
        outline: of one copy: which parameters are kept at a norm.
        inputs: ``[S, B, ...]``.
        wave: ``[S, C, B, m]``, as ``random_wave`` gives it.
        steps: of Adam, whose moments begin at zero.
        every: steps between two values; the first is that before any step.
        rate: the learning rate of Adam.
    """
    with torch.no_grad():
        output = entries(network(inputs))
        target = output.mean(2, keepdim=True) + wave
    learner = _copy(network)
    trained = {path: value for path, value in learner.parameters.items() if value.requires_grad}
    numbers = Hyperparameters(network.seeds, target.device)
    optimizer = Adam(learning_rate=Constant(value=rate)).build(trained, numbers)
    yield 0, _share(output, target)
    for step in range(1, steps + 1):
        loss = (entries(learner(inputs, training=True)) - target).square().mean((1, 2, 3)).sum()
        optimizer.step(torch.autograd.grad(loss, list(trained.values()), allow_unused=True, materialize_grads=True))
        project(trained, outline.projections())
        if step % every == 0 or step == steps:
            with torch.no_grad():
                fit = entries(learner(inputs))
            yield step, _share(fit, target)


@torch.no_grad()
def _share(output: Tensor, target: Tensor) -> Tensor:
    """``1 - error / variance of the targets``, ``[S]``."""
    error = (output - target).square().mean((1, 2, 3))
    return 1 - error / target.var(2, correction=0).mean((1, 2))


def random_wave(
    template: Template, outline: Outline, seeds: Sequence[int], copies: int, inputs: Tensor, number: int
) -> Tensor:
    """``sin(1e5 f'(x))`` at ``inputs [S, B, ...]``, ``[S, C, B, m]``: f' is drawn for seed, copy and ``number``."""
    stream = ("probe", "trainability", number)
    device = str(inputs.device)
    other = Stacked(
        template,
        fresh_stack(outline, seeds, copies, *stream, device=device),
        fresh_buffers(outline, seeds, copies, *stream, device=device),
    )
    with torch.no_grad():
        return (FREQUENCY * entries(other(inputs))).sin()


def entries(output: Any) -> Tensor:
    """The output of any head, ``[S, C, B, ...]``, as vectors ``[S, C, B, m]``."""
    parts = output if isinstance(output, tuple) else (output,)
    return torch.cat([part[..., None].flatten(3) for part in parts], -1)


def _copy(network: Stacked) -> Stacked:
    parameters = {
        path: value.detach().clone().requires_grad_(value.requires_grad) for path, value in network.parameters.items()
    }
    return Stacked(network.template, parameters, {path: value.clone() for path, value in network.buffers.items()})
