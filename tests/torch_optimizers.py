"""Optimizers of torch, one for each seed, in the place of stacked ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from composer.optim.hyperparameters import Hyperparameters
from composer.optim.steps import OptimizerState

STEPS = 60
SHAPES = {"trunk.0.weight": (4, 3), "trunk.0.bias": (4,), "head.weight": (1, 4)}
Tensors = dict[str, Tensor]


def numbers(seeds: int) -> Hyperparameters:
    return Hyperparameters(seeds, "cpu")


def parameters(seeds: int, copies: int = 2) -> Tensors:
    generator = torch.Generator().manual_seed(0)
    return {path: torch.randn(seeds, copies, *shape, generator=generator) for path, shape in SHAPES.items()}


def gradients(seeds: int, step: int, copies: int = 2) -> Tensors:
    """Of a size that varies over six orders, zero now and then."""
    generator = torch.Generator().manual_seed(step + 1)
    scale = 10.0 ** ((step * 7) % 6 - 4) * (step % 9 != 4)
    return {path: scale * torch.randn(seeds, copies, *shape, generator=generator) for path, shape in SHAPES.items()}


def check(state: OptimizerState, ours: Tensors, references: list[Callable[[int], Tensors]], seeds: int) -> None:
    """Step both; after every step each seed's slice equals what its reference optimizer made of it."""
    for step in range(STEPS):
        state.step(list(gradients(seeds, step).values()))
        for seed, reference in enumerate(references):
            for path, expected in reference(step).items():
                torch.testing.assert_close(
                    ours[path][seed], expected, rtol=2e-5, atol=2e-6, msg=lambda m, p=path: f"{p}: {m}"
                )


def torchs(
    make: Callable[[list[dict[str, object]]], torch.optim.Optimizer], seed: int, seeds: int, decayed: set[str]
) -> Callable[[int], Tensors]:
    """A torch optimizer over one seed's slice; ``decayed`` paths are a group of their own, the others do not decay."""
    theirs = {path: p[seed].clone().requires_grad_() for path, p in parameters(seeds).items()}
    groups: list[dict[str, object]] = [
        {"params": [theirs[p] for p in SHAPES if p in decayed]},
        {"params": [theirs[p] for p in SHAPES if p not in decayed], "weight_decay": 0.0},
    ]
    optimizer = make([group for group in groups if group["params"]])

    def step(number: int) -> Tensors:
        for path, gradient in gradients(seeds, number).items():
            theirs[path].grad = gradient[seed]
        optimizer.step()
        return {path: p.detach() for path, p in theirs.items()}

    return step
