"""The quickstart's promise: an agent that swings the pole up, where a random policy does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from composer import api
from composer.blueprint import load
from composer.spec.package_files import blueprints_root

pytestmark = pytest.mark.learning


def test_a_random_policy_scores_under_200() -> None:
    environment = load(blueprints_root() / "quickstart.toml").blueprint.environment
    vector = environment.make(range(10), "random")
    vector.reset()
    generator = np.random.default_rng(0)
    returns = np.zeros(10)
    for _ in range(vector.info.episode_interactions):
        step = vector.step(generator.uniform(-1, 1, (10, vector.info.action_size)).astype(np.float32))
        returns = np.where(step.truncated, step.episode_return, returns)
    vector.close()
    assert (returns > 0).all()
    assert returns.mean() < 200


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_quickstart_reaches_800_in_five_minutes(tmp_path: Path, seed: int) -> None:
    loaded = load(blueprints_root() / "quickstart.toml", [f"seeds=[{seed}]", 'tracking={kind="none"}'])
    result = api.train(loaded.blueprint, tmp_path)
    assert result.final_return >= 800
    assert result.table["seconds"] < 300
