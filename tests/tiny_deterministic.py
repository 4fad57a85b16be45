"""Tiny learners and runs of deterministic policy gradients: ``tiny_td3.toml``, whole or under overrides."""

from __future__ import annotations

from pathlib import Path

import torch
from tiny_runs import EAGER, go_on
from torch import Tensor

from composer.blueprint import Blueprint, load
from composer.replay.transitions import Transitions
from composer.training import assemble
from composer.training.compile.capture import Choice
from composer.training.learner import Learner
from composer.training.runs.directory import Run
from composer.training.session import Session

TINY_TD3 = Path(__file__).parent / "tiny_td3.toml"
RAW = "normalization={ observation = { kind = 'raw' }, reward = { kind = 'raw' } }"
SILENT = "algorithm.target_noise={ std = 0 }"
SIMBA = (
    "algorithm={ kind = 'ddpg', batch_size = 32, warmup_interactions = 50, first = 'actor', target_actor = false, "
    "actor_noise = { std = 0.1 }, target_noise = { std = 0.1 } }",
)
"""DDPG as in SimBa's published code."""
BATCH, ACTIONS = 32, 2


def blueprint_of(*overrides: str) -> Blueprint:
    """The tiny experiment under overrides."""
    return load(TINY_TD3, overrides).blueprint


def learner(*overrides: str, choice: Choice = EAGER) -> Learner:
    """A fresh learner of it."""
    blueprint = blueprint_of(*overrides)
    return Learner(blueprint.agent, "cpu", choice)


def begin(runs: Path, *overrides: str) -> tuple[Run, Session]:
    """A new run of it, not yet stepped."""
    return assemble.start(blueprint_of(*overrides), runs, None)


def finished(runs: Path, *overrides: str) -> tuple[Path, Session]:
    """A whole run of it: its folder and what it was made of."""
    run, parts = begin(runs, *overrides)
    go_on(parts)
    run.close()
    return run.path, parts


def batch(seeds: int = 1, seed: int = 0) -> Transitions:
    """Transitions of ``test/drift``'s shapes, some of which end an episode."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(seeds, BATCH, *shape, generator=generator)

    bootstrap = torch.full((seeds, BATCH), 0.97)
    bootstrap[:, ::5] = 0.0
    return Transitions(draw(3), draw(ACTIONS).tanh(), draw(), bootstrap, draw(3))


def noise(agent: Learner, seed: int = 9) -> dict[str, Tensor]:
    """Draws for an update, large enough that clips matter."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(agent.seeds), BATCH, ACTIONS)
    return {name: 3 * torch.randn(shape, generator=generator) for name in agent.program.noise}


def state(agent: Learner) -> dict[str, Tensor]:
    """Every tensor of it, copied."""
    return {name: value.detach().clone() for name, value in agent.tensors().items()}
