"""Blueprints of agents on Atari train: a few updates of their small variants, with every intervention fired."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tiny_runs import result, resumed, rows
from typing_extensions import override

from composer import load
from composer.tracking.console import Console
from composer.training import assemble
from composer.training.loop import train

KILLED = 112
"""Environment steps after which a run is killed: between two checkpoints, past a firing."""
QUICK = [
    "seeds=[0]", "compute.compile=never", "tracking={ kind = 'none' }", "environment.frame_limit=200",
    "algorithm.warmup_interactions=12", "algorithm.batch_size=4", "replay.capacity=1000", "training.env_steps=160",
    "training.log_every=160", "evaluation.every=160", "evaluation.episodes=1", "checkpoint.every=80",
]  # fmt: skip
SHORT = ["algorithm.n_step.updates=8", "algorithm.discount.updates=8"]
EARLY = [f"interventions.{name}.{key}" for name in ("encoders", "heads") for key in ("interval=10", "spare_last=0")]
FIRING = {
    "spr": [],
    "sr_spr": EARLY,
    "bbf": [*EARLY, *SHORT],
    "bbf_hare_tortoise": ["interventions.hare.interval=8", "interventions.projection.interval=8"],
    "drq_hare_tortoise": ["interventions.hare.interval=8"],
    "dqn_injection": ["interventions.injection.when={ kind = 'at', steps = [96], clock = 'env' }"],
    "dqn_redo": ["interventions.redo.interval=4", "interventions.redo.tau=0.9"],
    "rainbow_soft_moe": [],
}


class Killed(Console):
    """Keeps what a run has on disk at one moment, as a killed process leaves it."""

    def __init__(self, run: Path, left: Path) -> None:
        super().__init__(KILLED, enabled=False)
        self._run, self._left = run, left

    @override
    def update(self, env_step: int, updates: int) -> None:
        if env_step == KILLED:
            shutil.copytree(self._run, self._left)


def _trains(name: str, folder: Path) -> None:
    blueprint = load(f"atari/{name}@small", [*QUICK, *FIRING[name]])
    run, session = assemble.start(blueprint, folder / "runs", None)
    train(session, Killed(run.path, folder / "left"))
    session.close()
    run.close()
    fired = {row["name"] for row in rows(run.path) if row["type"] == "event"}
    assert fired == set(blueprint.interventions)
    assert session.learner.updates.item() > 4
    assert rows(folder / "left") != rows(run.path)
    assert result(resumed(folder / "left")) == result(run.path), "killed and resumed, it is the run"


def test_the_blueprint_of_injection_trains_injects_and_resumes(tmp_path: Path) -> None:
    _trains("dqn_injection", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FIRING if name != "dqn_injection"])
def test_a_blueprint_on_atari_trains_fires_and_resumes(name: str, tmp_path: Path) -> None:
    """Alone trains these agents on a game, kills and resumes them: three seconds each, of pictures."""
    _trains(name, tmp_path)
