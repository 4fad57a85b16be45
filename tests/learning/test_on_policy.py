"""PPO and PQN learn: choices on CartPole-v1, numbers on Pendulum-v1, three seeds in one program each."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer import api
from composer.blueprint import load
from composer.spec.package_files import blueprints_root

pytestmark = pytest.mark.learning

OWN = ['tracking={ kind = "none" }', "compute.compile='never'"]


@pytest.mark.parametrize(
    ("name", "each"),
    # A random policy scores about 22 on CartPole-v1, whose best return is 500, and about -1,200 on Pendulum-v1, where
    # a swing-up from an average start costs about 150.
    [("cartpole_ppo", 475.0), ("pendulum_ppo", -300.0), ("cartpole_pqn", 475.0)],
)
def test_every_seed_learns(name: str, each: float, tmp_path: Path) -> None:
    blueprint = load(blueprints_root() / "classic" / f"{name}.toml", OWN).blueprint
    result = api.train(blueprint, tmp_path)
    assert min(result.table["returns"].values()) >= each, result.table["returns"]
