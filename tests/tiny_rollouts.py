"""Tiny runs that learn on policy: ``tiny_ppo.toml`` over numbers, and over choices on ``test/choice``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from tiny_runs import EAGER, Drift, DriftSingle

from composer.blueprint import Blueprint, load
from composer.environments import EnvironmentInfo
from composer.training import assemble
from composer.training.collect.on_policy import Rollout
from composer.training.collect.simulation import SimulatorCollector
from composer.training.compile.capture import Choice
from composer.training.learner import Learner
from composer.training.runs.directory import Run
from composer.training.session import Session

TINY = Path(__file__).parent / "tiny_ppo.toml"
CHOICES = (
    'environment={ kind = "test/choice", copies = 2 }',
    'networks.actor.head={ kind = "categorical_policy" }',
)
BYTES = (
    '[{ kind = "scale", factor = 0.00392 }, { kind = "flatten" }, { kind = "linear", width = 8 }, { kind = "relu" }]'
)
PICTURES = (
    'environment={ kind = "test/film", copies = 2 }',
    f"networks.actor.trunk={BYTES}",
    f"networks.critic.trunk={BYTES}",
)
NUMBERS: tuple[str, ...] = ()
BOTH = {"numbers": NUMBERS, "choices": CHOICES}


class Choices(Drift, kind="test/choice"):
    """The drifting mass, pushed left, not at all or right."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "test/choice"}

    def describe(self) -> EnvironmentInfo:
        """Three choices."""
        return EnvironmentInfo((3,), 3, self.limit, self.action_repeat, terminates=True, discrete=True)

    def single(self) -> DriftSingle:
        """One mass."""
        return ChoiceSingle(self)


class ChoiceSingle(DriftSingle):
    """One of them."""

    def step(self, action: np.ndarray) -> tuple[float, bool, bool]:
        assert sorted(action.tolist()) == [0.0, 0.0, 1.0]
        return super().step(np.array([action @ [-1.0, 0.0, 1.0], 0.0], np.float32))


class VideoRecorder(Drift, kind="test/film"):
    """The drifting mass as a spot of light, in two frames."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "test/film"}

    def describe(self) -> EnvironmentInfo:
        """Two frames of four by four."""
        return EnvironmentInfo((2, 4, 4), 2, self.limit, 1, terminates=True, pictures=True, stacked_frames=2)

    def single(self) -> DriftSingle:
        """One mass."""
        return FilmSingle(self)


class FilmSingle(DriftSingle):
    """One of them."""

    def reset(self, seed: int) -> None:
        super().reset(seed)
        self._seen = np.stack([self._frame()] * 2)

    def step(self, action: np.ndarray) -> tuple[float, bool, bool]:
        told = super().step(action)
        self._seen = np.stack([self._seen[1], self._frame()])
        return told

    def _frame(self) -> np.ndarray:
        frame = np.zeros(16, np.uint8)
        frame[int(np.clip(4 * (self._x + 2), 0, 15))] = 255 - self._t
        return frame.reshape(4, 4)

    def observe(self) -> np.ndarray:
        return self._seen


def tiny(*overrides: str) -> Blueprint:
    return load(TINY, overrides).blueprint


def learner(*overrides: str, choice: Choice = EAGER) -> Learner:
    blueprint = tiny(*overrides)
    return Learner(blueprint.agent, "cpu", choice)


def begin(runs: Path, *overrides: str) -> tuple[Run, Session]:
    """A new run, not yet stepped."""
    return assemble.start(tiny(*overrides), runs, None)


def collected(runs: Path, *overrides: str, interactions: int = 8) -> tuple[Session, Rollout]:
    """A run that has acted and not learned, and its rollout."""
    run, parts = begin(runs, *overrides)
    for number in range(interactions):
        parts.collector.interact(number)
    run.close()
    assert isinstance(parts.collector, SimulatorCollector) and isinstance(parts.collector.memory, Rollout)
    return parts, parts.collector.memory


def moved(agent: Learner, by: float = 0.3) -> None:
    """Change every weight, so that ratios are not 1."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for network in agent.networks.values():
            for value in network.parameters.values():
                value.add_(by * torch.randn(value.shape, generator=generator))
