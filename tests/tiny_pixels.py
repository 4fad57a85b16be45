"""Tiny learners and runs from pixels: ``tiny_pixels.toml``, whole, in a variant or under overrides."""

from __future__ import annotations

from pathlib import Path

import torch
from tiny_rollouts import VideoRecorder as VideoRecorder
from tiny_runs import EAGER
from torch import Tensor

from composer.blueprint import Blueprint, load
from composer.networks.stacked import Stacked
from composer.replay.transitions import Transitions
from composer.training.compile.capture import Choice
from composer.training.learner import Learner

TINY = Path(__file__).with_name("tiny_pixels.toml")
BATCH, ACTIONS, PICTURE = 8, 2, (2, 4, 4)


def pixels(*overrides: str, variant: str | None = None) -> Blueprint:
    """The tiny experiment, or a variant of it."""
    return load(TINY, overrides, variant=variant).blueprint


def learner(*overrides: str, variant: str | None = None, choice: Choice = EAGER) -> Learner:
    """A fresh learner of it."""
    return Learner(pixels(*overrides, variant=variant).agent, "cpu", choice)


def batch(seeds: int = 1, seed: int = 0) -> Transitions:
    """Transitions of ``test/film``'s shapes, some of which end an episode."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(seeds, BATCH, *shape, generator=generator)

    now, following = torch.randint(256, (2, seeds, BATCH, *PICTURE), generator=generator, dtype=torch.uint8)
    bootstrap = torch.full((seeds, BATCH), 0.97)
    bootstrap[:, ::5] = 0.0
    return Transitions(now, draw(ACTIONS).tanh(), draw(), bootstrap, following)


def noise(agent: Learner, seed: int = 9) -> dict[str, Tensor]:
    """Draws for an update, by the names of its program."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(len(agent.seeds), BATCH, *shape, generator=generator)
        for name, shape in agent.program.noise.items()
    }


def in_float64(agent: Learner) -> Learner:
    """The same learner, whose networks and averages compute in float64; they are moved apart first."""
    for step in range(3):
        agent.update(batch(len(agent.seeds), 50 + step))
    for stack in (*agent.networks.values(), *agent.averages.values()):
        stack.parameters = {path: _double(value) for path, value in stack.parameters.items()}
    return agent


def _double(value: Tensor) -> Tensor:
    return value.detach().double().requires_grad_(value.requires_grad)


def called(stack: Stacked, seen: Tensor, copy: int = 0) -> Tensor:
    """The output ``[n, ...]`` of one copy of a network for inputs ``[n, ...]``, by its own module alone."""
    parameters = {path: value[0, copy] for path, value in stack.parameters.items()}
    output: Tensor = torch.func.functional_call(stack.template.evaluation, parameters, (seen,))
    return output
