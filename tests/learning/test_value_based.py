"""The promise of the blueprint classic/cartpole_dqn: the pole stays up, where random pushes let it fall."""

from __future__ import annotations

import numpy as np
import pytest

from composer import api
from composer.blueprint import load
from composer.spec.package_files import blueprints_root
from composer.training.runs.results import Result

pytestmark = pytest.mark.learning
CARTPOLE = blueprints_root() / "classic" / "cartpole_dqn.toml"


def test_random_pushes_score_under_50() -> None:
    environment = load(CARTPOLE).blueprint.environment
    vector = environment.make(range(20), "random")  # type: ignore[attr-defined]
    vector.reset()
    generator = np.random.default_rng(0)
    first: dict[int, float] = {}
    while len(first) < 20:
        step = vector.step(np.eye(2, dtype=np.float32)[generator.integers(2, size=20)])
        for index in np.flatnonzero(step.terminated | step.truncated):
            first.setdefault(int(index), float(step.episode_return[index]))
    vector.close()
    assert 0 < np.mean(list(first.values())) < 50


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    loaded = load(CARTPOLE, ['tracking={kind="none"}'])
    assert len(loaded.blueprint.seeds) == 3
    return api.train(loaded.blueprint, tmp_path_factory.mktemp("runs"))


def test_dqn_learns_to_balance_the_pole(result: Result) -> None:
    assert result.final_return >= 400
    assert result.table["seconds"] < 600


@pytest.mark.xfail(reason="nine of twelve seeds play perfectly; the mean of these three is 445", strict=True)
def test_dqn_solves_the_task(result: Result) -> None:
    assert result.final_return >= 475
