"""One way from a blueprint to the first gradient step: each answer is computed once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import ALONE

import composer
from composer.blueprint import dump

ROOT = Path(__file__).parents[2]
ASIDE = ("tracking.kind=none", "compute.compile=never")


@pytest.mark.slow
def test_a_blueprint_is_checked_forecast_and_described_once(tmp_path: Path) -> None:
    """The only test that counts over a whole command.

    Everything is in the file: for the name of its agent a run is compared with the blueprints without its overrides,
    which are others, and are validated too.
    """
    whole = dump(composer.load("quickstart", ["training.env_steps=1200", "algorithm.warmup_interactions=100", *ASIDE]))
    (tmp_path / "short.toml").write_text(whole, encoding="utf-8")
    command = [sys.executable, "tools/route.py", "--count", "0", str(tmp_path / "short.toml")]
    done = subprocess.run(command, capture_output=True, text=True, env=ALONE, cwd=ROOT, timeout=3_600)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["validations of the root blueprint"] == 1
    assert counts["memory forecasts"] == 1
    assert counts["descriptions of the environment"] == 1
    assert counts["needless libraries imported"] == ""
