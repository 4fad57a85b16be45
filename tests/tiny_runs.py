"""Tiny runs for the tests of the core: an environment of plain arithmetic, and runs inside this process.

``tiny.toml`` is the experiment (dm_control, 150 decisions); with ``DRIFT`` it plays ``test/drift``, which costs
nothing, terminates and truncates.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from composer import assemble
from composer.blueprint import Blueprint, load
from composer.checkpoint import Checkpoints, digest
from composer.compiling import Choice
from composer.environments import EnvironmentInfo, SingleSimulator
from composer.experience.transitions import Transitions
from composer.interrupts import Interrupted
from composer.learner import Learner
from composer.loop import train
from composer.runs import Run
from composer.state import Parts
from composer.tracking.console import Console
from composer.tracking.journal import Row, read

TINY = Path(__file__).parent / "tiny.toml"
DRIFT = 'environment={ kind = "test/drift" }'
EAGER = Choice(False, "a test")
EVENTFUL = (
    DRIFT,
    "seeds=[0, 5]",
    "training.env_steps=140",
    "training.log_every=30",
    "evaluation.every=60",
    "checkpoint.every=40",
    "replay.capacity=70",
    "algorithm.n_step=2",
    "algorithm.update_to_data=0.6",
    'diagnostics={ every = 50, batch = 8, measures = [{ kind = "gradient_norm" }, { kind = "policy_churn" }] }',
)
"""Two seeds, a ring that wraps, windows of two rewards, fractional updates, diagnostics that remember.

Rows, evaluations, readings and saves are out of step.
"""


class Drift(SingleSimulator, kind="test/drift"):
    """A mass on a line, pushed by actions: ends by itself far out, by time after ``limit`` steps."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "test/drift"}

    limit: int = 23
    edge: float = 1.5
    raises_at: int = 0
    """The step, of all that this environment takes, at which it raises; 0 for never."""

    def describe(self) -> EnvironmentInfo:
        """Position, speed and time in, two pushes out."""
        return EnvironmentInfo((3,), 2, self.limit, self.action_repeat, terminates=True)

    def single(self) -> DriftSingle:
        """One mass."""
        return DriftSingle(self)


class DriftSingle:
    """One of them."""

    def __init__(self, declared: Drift) -> None:
        self._declared, self._taken = declared, 0
        self._x = self._v = 0.0
        self._t = 0

    def reset(self, seed: int) -> None:
        self._x, self._v, self._t = seed / 2**63 - 0.5, 0.0, 0

    def step(self, action: np.ndarray) -> tuple[float, bool, bool]:
        self._taken += 1
        if self._taken == self._declared.raises_at:
            raise ZeroDivisionError("no mass")
        self._v += 0.1 * float(action[0]) + 0.05 * float(action[1])
        self._x += self._v
        self._t += 1
        out = abs(self._x) > self._declared.edge
        return 1.0 - abs(self._x), out, self._t >= self._declared.limit and not out

    def observe(self) -> np.ndarray:
        return np.array([self._x, self._v, self._t / self._declared.limit], np.float32)

    def render(self) -> np.ndarray:
        return np.zeros((2, 2, 3), np.uint8)

    def close(self) -> None:
        self._t = 0


def tiny(*overrides: str) -> Blueprint:
    """The tiny experiment under overrides."""
    return load(TINY, overrides).blueprint


def learner(*overrides: str, choice: Choice = EAGER) -> Learner:
    """A fresh learner of the tiny experiment on ``test/drift``."""
    blueprint = tiny(DRIFT, *overrides)
    return Learner(blueprint, blueprint.environment.describe(), "cpu", choice)


def transitions(agent: Learner, seed: int = 0) -> Transitions:
    """A batch for every seed of the agent."""
    generator = torch.Generator().manual_seed(seed)
    seeds = agent.updates.shape[0]

    def draw(*shape: int) -> Tensor:
        return torch.randn(seeds, 32, *shape, generator=generator)

    return Transitions(draw(3), draw(2).tanh(), draw(), torch.full((seeds, 32), 0.9), draw(3))


def state_digest(run: Path) -> str:
    """The hash of the newest good checkpoint of a run."""
    checkpoints = Checkpoints(run)
    return digest(checkpoints, checkpoints.load())


def rows(run: Path) -> list[Row]:
    """All rows of a run's journal, which must be whole."""
    reader = read(run / "journal.jsonl")
    found = list(reader)
    assert reader.problem is None
    return found


def result(run: Path) -> tuple[str, bytes]:
    """All that a run leaves: the hash of its state, and its journal."""
    return state_digest(run), (run / "journal.jsonl").read_bytes()


def last_json(output: str) -> dict[str, Any]:
    """The JSON object that a command printed last."""
    answer: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return answer


def begin(runs: Path, *overrides: str) -> tuple[Run, Parts]:
    """A new run of the tiny experiment, not yet stepped."""
    return assemble.start(tiny(*overrides), runs, None)


def go_on(parts: Parts) -> Parts:
    """Run to the end and close what is open."""
    train(parts, Console(parts.blueprint.training.env_steps, enabled=False))
    parts.close()
    return parts


def finished(runs: Path, *overrides: str) -> tuple[Path, Parts]:
    """A whole run: its folder and what it was made of."""
    run, parts = begin(runs, *overrides)
    go_on(parts)
    run.close()
    return run.path, parts


class Stopper(Console):
    """Sends this process SIGTERM once the run has reached a step; the run obeys one decision later."""

    def __init__(self, at: int) -> None:
        super().__init__(at, enabled=False)
        self._at = at

    def update(self, env_step: int, updates: int) -> None:
        if env_step == self._at:
            os.kill(os.getpid(), signal.SIGTERM)


def stopped(run: Run, parts: Parts, at: int) -> Path:
    """Run until one decision after step ``at``, where a SIGTERM has it saved; closes everything."""
    try:
        train(parts, Stopper(at))
    except Interrupted as interrupted:
        assert interrupted.exit_code == 143
    else:
        raise AssertionError("the run was not interrupted")
    parts.close()
    run.close()
    return run.path


def resumed(path: Path) -> Path:
    """Resume a run and bring it to its end."""
    run, parts, _ = assemble.resume(path)
    go_on(parts)
    run.close()
    return path


COMMAND = [sys.executable, "-c", "from composer.cli import main; main()"]
"""The command line as a process of its own."""
ALONE = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent.parent)}
