"""DQN on MinAtar with what its variants do to it: resumed exactly, and its replay holds the frames that were seen."""

from __future__ import annotations

from pathlib import Path

import torch
from tiny_runs import go_on, result, resumed, stopped

from composer.blueprint import load
from composer.environments import MinAtar
from composer.spec.package_files import blueprints_root
from composer.training import assemble
from composer.training.collect.build import make_ring

SHORT = (
    *("algorithm.warmup_interactions=30", "training.env_steps=72", "replay.capacity=60", "algorithm.batch_size=4"),
    *("training.log_every=24", "evaluation.every=72", "evaluation.episodes=1", "checkpoint.every=24", "seeds=[0, 5]"),
    *("environment.game=space_invaders", 'tracking={ kind = "none" }', "compute.compile=never"),
    *("networks.value.trunk.width=2", "networks.value.trunk.features=8", "averages.target_value.momentum.every=5"),
    *("interventions.redo.interval=12", "interventions.redo.batch=4", "interventions.hare_and_tortoise.interval=15"),
)
VARIANT = "small+redo+hare_tortoise+layer_norm_decay"


def test_a_run_under_several_remedies_resumes_exactly(tmp_path: Path) -> None:
    """Stopped in mid-episode, between two recyclings, where the replay has wrapped."""
    blueprint = load(blueprints_root() / "minatar" / "dqn.toml", SHORT, VARIANT).blueprint
    run, session = assemble.start(blueprint, tmp_path / "whole", None)
    go_on(session)
    run.close()
    halted = stopped(*assemble.start(blueprint, tmp_path / "halted", None), at=65)
    assert result(resumed(halted)) == result(run.path)


def test_replay_holds_each_picture_once() -> None:
    """A row is one picture, nine numbers (six of the action) and the number of a seam: no next picture, no float."""
    info = MinAtar(game="seaquest").info
    ring, picture = make_ring(info, 2, 1, 1_000, "cpu"), torch.ones(2, 1, *info.observation, dtype=torch.uint8)
    ring.add(picture, torch.zeros(2, 1, 6), torch.zeros(2, 1), *torch.zeros(2, 2, 1).bool(), picture)
    assert ring.rows(0, 1).shape == (1, 2, 10 * 10 * 10 + 9 * 4 + 8)
