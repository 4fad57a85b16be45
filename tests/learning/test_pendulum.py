"""Deterministic policies learn to swing Pendulum-v1 up and hold it there, which takes a return of about -150."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer import api
from composer.blueprint import load
from composer.spec.package_files import blueprints_root

pytestmark = pytest.mark.learning


@pytest.mark.parametrize("name", ["pendulum_td3", "pendulum_ddpg"])
def test_the_mean_of_three_seeds_is_above_300_below_zero(name: str, tmp_path: Path) -> None:
    """A policy of chance has about -1,200; -300 leaves room for one episode in ten that begins badly."""
    loaded = load(blueprints_root() / "classic" / f"{name}.toml", ['tracking={kind="none"}', "compute.threads=1"])
    result = api.train(loaded.blueprint, tmp_path)
    assert result.final_return >= -300
