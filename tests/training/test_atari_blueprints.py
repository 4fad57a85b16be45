"""Blueprints of agents on Atari train: a few updates of their small variants, with every intervention fired."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_runs import rows

from composer import load, train

QUICK = [
    "seeds=[0]", "compute.compile=never", "tracking={ kind = 'none' }", "environment.frame_limit=200",
    "algorithm.warmup_interactions=12", "replay.capacity=1000", "training.env_steps=160", "training.log_every=160",
    "evaluation.every=160", "evaluation.episodes=1", "checkpoint.every=160",
]  # fmt: skip
EARLY = ("interval=10", "spare_last=0")
FIRING = {
    "bbf": [f"interventions.{name}.{key}" for name in ("encoders", "heads") for key in EARLY],
    "bbf_hare_tortoise": ["interventions.hare.interval=8", "interventions.projection.interval=8"],
    "dqn_injection": ["interventions.injection.when={ kind = 'at', steps = [100], clock = 'env' }"],
    "dqn_redo": ["interventions.redo.interval=4", "interventions.redo.tau=0.9"],
    "rainbow_soft_moe": [],
}


def _trains(name: str, folder: Path) -> None:
    blueprint = load(f"atari/{name}@small", [*QUICK, *FIRING[name]])
    done = train(blueprint, folder)
    assert done.table["status"] == "finished"
    fired = {row["name"] for row in rows(done.path) if row["type"] == "event"}
    assert fired == set(blueprint.interventions)
    assert done.metrics["value/loss"].env_steps[-1] == 160


def test_the_blueprint_of_injection_trains_and_injects(tmp_path: Path) -> None:
    _trains("dqn_injection", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FIRING if name != "dqn_injection"])
def test_a_blueprint_on_atari_trains_and_its_interventions_fire(name: str, tmp_path: Path) -> None:
    """Alone trains these agents on a game: four seconds each, of pictures."""
    _trains(name, tmp_path)
