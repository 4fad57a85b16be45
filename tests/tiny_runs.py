"""Tiny runs for the tests of the core, inside this process.

``tiny.toml`` is the experiment (dm_control, 150 decisions); with ``DRIFT`` it plays ``test/drift``, which costs
nothing, terminates and truncates.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from drift import Drift as Drift
from drift import DriftSingle as DriftSingle
from torch import Tensor

from composer.blueprint import Blueprint, load
from composer.blueprint import digest as blueprint_digest
from composer.replay.transitions import Transitions
from composer.tracking.console import Console
from composer.tracking.journal import JournalRow, read
from composer.training import assemble
from composer.training.compile.capture import Choice
from composer.training.interrupts import Interrupted
from composer.training.learner import Learner
from composer.training.loop import train, training_steps
from composer.training.runs.checkpoint import Checkpoints
from composer.training.runs.directory import Run, read_blueprint
from composer.training.runs.disk import seal
from composer.training.runs.edited import sealed
from composer.training.runs.provenance import provenance_hash
from composer.training.runs.state_digest import digest
from composer.training.session import Session

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


def tiny(*overrides: str) -> Blueprint:
    """The tiny experiment under overrides."""
    return load(TINY, overrides).blueprint


def learner(*overrides: str, choice: Choice = EAGER) -> Learner:
    """A fresh learner of the tiny experiment on ``test/drift``."""
    blueprint = tiny(DRIFT, *overrides)
    return Learner(blueprint.agent, "cpu", choice)


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


def rows(run: Path) -> list[JournalRow]:
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


def begin(runs: Path, *overrides: str) -> tuple[Run, Session]:
    """A new run of the tiny experiment, not yet stepped."""
    return assemble.start(tiny(*overrides), runs, None)


def interactions(session: Session) -> Iterator[None]:
    """Collect and update, and nothing else; yields after each interaction."""
    for batches in training_steps(session):
        if batches:
            session.learner.learn(batches)
        else:
            yield


def go_on(parts: Session) -> Session:
    """Run to the end and close what is open."""
    train(parts, Console(parts.training.env_steps, enabled=False))
    parts.close()
    return parts


def finished(runs: Path, *overrides: str) -> tuple[Path, Session]:
    """A whole run: its folder and what it was made of."""
    run, parts = begin(runs, *overrides)
    go_on(parts)
    run.close()
    return run.path, parts


def as_if_begun_elsewhere(run: Path, **fingerprint: Any) -> None:
    """Rewrite a run as one that began where its fingerprint was another one."""
    facts = json.loads((run / "run.json").read_text())
    facts["fingerprint"] |= fingerprint
    facts["hash"] = provenance_hash(blueprint_digest(read_blueprint(run)), facts["fingerprint"])
    facts = sealed(facts, facts["blueprint"])
    (run / "run.json").write_text(json.dumps(facts))
    for path in run.glob("checkpoints/*/manifest.json"):
        manifest = json.loads(path.read_text()) | {"run": facts}
        del manifest["sha256"]
        path.write_text(json.dumps(manifest | {"sha256": seal(manifest)}))


class Stopper(Console):
    """Sends this process a signal once the run has reached a step; the run obeys one decision later."""

    def __init__(self, at: int, number: int = signal.SIGTERM) -> None:
        super().__init__(at, enabled=False)
        self._at, self._number = at, number

    def update(self, env_step: int, updates: int) -> None:
        if env_step == self._at:
            os.kill(os.getpid(), self._number)


def stopped(run: Run, parts: Session, at: int, number: int = signal.SIGTERM) -> Path:
    """Run until one decision after step ``at``, where a signal has it saved; closes everything."""
    try:
        train(parts, Stopper(at, number))
    except Interrupted as interrupted:
        assert interrupted.exit_code == 128 + number
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


DYING = """
import os, signal
from composer.cli import main
from composer.training import launch

train = launch.train

def dying(*arguments):
    signal.setitimer(signal.ITIMER_PROF, float(os.environ["DIES"]))
    return train(*arguments)

launch.train = dying
main()
"""
"""The command line, which dies like one that is killed after some seconds of training, counted in its own time."""


def dies(seconds: float, *arguments: str) -> bool:
    """Run a command that dies in its training after ``seconds`` of processor time; False if it ended before.

    No clock on the wall is involved: on a busy machine it dies at the same moments.
    """
    command = [sys.executable, "-c", DYING, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**ALONE, "DIES": str(seconds)}, check=False)
    assert done.returncode in (0, -signal.SIGPROF), done.stderr
    return done.returncode != 0


COMMAND = [sys.executable, "-c", "from composer.cli import main; main()"]
"""The command line as a process of its own."""
ALONE = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent.parent)}
