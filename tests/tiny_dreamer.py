"""A tiny DreamerV3, and batches of sequences for it."""

from __future__ import annotations

from pathlib import Path

import torch
from drift import Drift as Drift
from tiny_rollouts import VideoRecorder as VideoRecorder
from tiny_runs import EAGER
from torch import Tensor

from composer.blueprint import Blueprint, load
from composer.replay.transitions import Minibatch, Transitions
from composer.spec.shape import Shape
from composer.training.compile.capture import Choice
from composer.training.learner import Learner

TINY = Path(__file__).parent / "tiny_dreamer.toml"
BATCH, MOMENTS, HORIZON, RECURRENT, VARIABLES, CLASSES = 3, 4, 3, 8, 3, 4
NAMES = ("observation", "action", "reward", "first", "last", "terminal")


def blueprint_of(*overrides: str, variant: str | None = None) -> Blueprint:
    return load(TINY, overrides, variant=variant).blueprint


def dreamer(*overrides: str, variant: str | None = None, choice: Choice = EAGER) -> Learner:
    return Learner(blueprint_of(*overrides, variant=variant).agent, "cpu", choice)


def minibatch(shape: Shape = (3,), seeds: int = 2, seed: int = 0) -> Minibatch:
    """Sequences of which some end an episode and begin another; each observes one moment more than are learned.

    Observations of ``shape`` are vectors, or bytes of pictures.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(seeds, BATCH, *shape, generator=generator)

    def seen(*lead: int) -> Tensor:
        if len(shape) == 1:
            return 2 * draw(*lead, *shape)
        return torch.randint(256, (seeds, BATCH, *lead, *shape), generator=generator, dtype=torch.uint8)

    length = MOMENTS + 1
    last, first = torch.zeros(seeds, BATCH, length), torch.zeros(seeds, BATCH, length)
    last[:, 0, 2] = last[:, 1, 1] = 1
    first[:, :, 0] = first[:, 0, 3] = first[:, 1, 2] = 1
    terminal = last.clone()
    terminal[:, 1] = 0
    sequence = (seen(length), 1.5 * draw(length, 2), draw(length), first, last, terminal)
    extra = {f"sequence/{name}": value for name, value in zip(NAMES, sequence, strict=True)}
    extra["remembered/recurrent"] = draw(RECURRENT)
    extra["remembered/stochastic"] = draw(VARIABLES * CLASSES)
    plain = Transitions(seen(), draw(2), draw(), torch.full((seeds, BATCH), 0.9), seen())
    return Minibatch(plain, extra)
