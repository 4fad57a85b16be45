"""Tiny runs of value-based learners: ``tiny_dqn.toml`` over choices, on numbers and, with ``DOTS``, on pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from tiny_rollouts import Choices, ChoiceSingle
from tiny_runs import EAGER
from torch import Tensor

from composer.blueprint import Blueprint, load
from composer.environments import EnvironmentInfo
from composer.replay.transitions import Transitions
from composer.training.compile.capture import Choice
from composer.training.learner import Learner

TINY = Path(__file__).parent / "tiny_dqn.toml"
ACTIONS, BATCH = 3, 8
DOTS = (
    'environment={ kind = "test/dots" }',
    'networks.value.trunk=[{ kind = "scale", factor = 0.01 }, { kind = "conv", width = 3, kernel = 3, stride = 2 }, '
    '{ kind = "relu" }, { kind = "flatten" }]',
)
"""Pictures [2, 6, 6]; a latent of 3 x 2 x 2."""
C51 = 'networks.value.head={ kind = "categorical_value", values = "per_action", atoms = 11, low = -5.0, high = 5.0 }'
RAINBOW = (
    *DOTS,
    "algorithm.double=true",
    "algorithm.noisy=true",
    "algorithm.n_step=3",
    "algorithm.epsilon=0.0",
    'replay.sampling={ kind = "prioritised", correction = { kind = "linear", start = 0.4, end = 1, updates = 100 } }',
    'networks.value.head={ kind = "dueling", hidden = [{ kind = "noisy_linear", width = 7 }, { kind = "relu" }], '
    'head = { kind = "categorical_value", values = "per_action", atoms = 11, low = -5.0, high = 5.0, sigma = 0.5 } }',
)
AUGMENTED = (*DOTS, 'algorithm.augmentation=[{ kind = "random_shift", pad = 1 }, { kind = "intensity" }]')
SPR = (
    *AUGMENTED,
    "algorithm.spr={ steps = 2, latent = 12, projection = 5 }",
    'networks.transition={ trunk = { use = "spr_transition", channels = 3, height = 2, width = 2 }, '
    'head = { kind = "features" } }',
    'networks.projection={ trunk = { use = "spr_projection", width = 5 }, head = { kind = "features" } }',
    'networks.predictor={ trunk = { use = "spr_predictor" }, head = { kind = "features" } }',
    'averages.target_projection={ of = "projection", momentum = 0.9 }',
    *(f'optimizers.{role}={{ kind = "adam", learning_rate = 1e-3 }}' for role in ("transition", "projection")),
    'optimizers.predictor={ kind = "adam", learning_rate = 1e-3 }',
)


class Dots(Choices, kind="test/dots"):
    """The drifting mass as a spot of light, in two frames that change."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "test/dots"}

    def describe(self) -> EnvironmentInfo:
        """Two frames of six by six, three choices."""
        return EnvironmentInfo(
            (2, 6, 6), ACTIONS, self.limit, 1, terminates=True, discrete=True, pictures=True, stacked_frames=2
        )

    def single(self) -> DotSingle:
        """One mass."""
        return DotSingle(self)


class DotSingle(ChoiceSingle):
    """One of them."""

    def reset(self, seed: int) -> None:
        super().reset(seed)
        self._seen = np.stack([self._frame()] * 2)

    def step(self, action: np.ndarray) -> tuple[float, bool, bool]:
        told = super().step(action)
        self._seen = np.stack([self._seen[1], self._frame()])
        return told

    def _frame(self) -> np.ndarray:
        frame = np.full(36, self._t, np.uint8)
        frame[int(np.clip(9 * (self._x + 2), 0, 35))] = 255 - self._t
        return frame.reshape(6, 6)

    def observe(self) -> np.ndarray:
        return self._seen


def tiny(*overrides: str) -> Blueprint:
    return load(TINY, overrides).blueprint


def learner(*overrides: str, choice: Choice = EAGER) -> Learner:
    blueprint = tiny(*overrides)
    return Learner(blueprint.agent, "cpu", choice)


def batch(agent: Learner, seed: int = 0, future: int = 0) -> tuple[Transitions, dict[str, Tensor]]:
    """Transitions of one-hot actions, every fifth a termination, and the extras that the agent asks for."""
    generator = torch.Generator().manual_seed(seed)
    seeds, shape = len(agent.seeds), agent.outlines["value"].input

    def numbers(*rest: int) -> Tensor:
        return torch.randn(seeds, BATCH, *rest, generator=generator)

    def seen(*rest: int) -> Tensor:
        sizes = (seeds, BATCH, *rest, *shape)
        return (
            torch.randint(256, sizes, generator=generator, dtype=torch.uint8)
            if len(shape) == 3
            else numbers(*rest, *shape)
        )

    def choices(*rest: int) -> Tensor:
        return torch.eye(ACTIONS)[torch.randint(ACTIONS, (seeds, BATCH, *rest), generator=generator)]

    bootstrap = torch.full((seeds, BATCH), 0.97)
    bootstrap[:, ::5] = 0.0
    extra = {"weight": torch.rand(seeds, BATCH, generator=generator)}
    if future:
        alive = torch.ones(seeds, BATCH, future)
        alive[:, ::3, 1:] = 0
        extra |= {"future/observation": seen(future), "future/action": choices(future), "future/alive": alive}
    return Transitions(seen(), choices(), numbers(), bootstrap, seen()), extra


def noise(agent: Learner, seed: int = 9) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sizes = {name: (len(agent.seeds), BATCH, *shape) for name, shape in agent.program.noise.items()}
    return {name: torch.randn(size, generator=generator) for name, size in sizes.items()}
