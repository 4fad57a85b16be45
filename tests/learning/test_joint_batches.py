"""CrossQ learns without a target: cartpole swing-up from 30,000 environment steps, three seeds in one program."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer import api
from composer.blueprint import load
from composer.spec.package_files import blueprints_root

OWN = ["environment.task=cartpole-swingup", "training.env_steps=30_000", "evaluation.every=10_000", "seeds=[0, 1, 2]"]


@pytest.mark.learning
def test_crossq_swings_the_pole_up(tmp_path: Path) -> None:
    own = [*OWN, "tracking.kind=none", "compute.compile=never"]
    blueprint = load(blueprints_root() / "dmc" / "crossq.toml", own, "small").blueprint
    returns = api.train(blueprint, tmp_path).table["returns"]
    # A random policy scores about 77; docs/benchmarks/joint-batches.md has what these seeds did.
    assert min(returns.values()) >= 200.0, returns
