"""The application of docs/guide/hydra.md trains what composer itself trains, under two launchers of Hydra."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from guide_pages import fences
from omegaconf import OmegaConf

import composer
from composer.blueprint import digest
from composer.training.runs.results import Result

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "tiny.toml"
SHORT = ["training.env_steps=800", "evaluation.every=400", "evaluation.episodes=1", "checkpoint.every=800"]


def write_application(folder: Path) -> None:
    """The files of the guide; its experiment is the tiny one, under the guide's name."""
    for fence in fences("hydra.md"):
        first, _, rest = fence.text.partition("\n")
        if first.startswith("# "):
            path = folder / first.removeprefix("# ")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(rest)
    exported = (folder / "export.py").read_text()
    assert '"quickstart"' in exported
    (folder / "export.py").write_text(
        exported.replace('"quickstart"', f"{str(ROOT / 'tests' / 'tiny.toml')!r}, {SHORT}")
    )


def python(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HYDRA_FULL_ERROR": "1"}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=3_600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def results(runs: Path) -> dict[int, Result]:
    """The runs below a folder, by batch size."""
    found = {}
    for path in sorted(runs.glob("*/run.json")):
        one = Result(path.parent, 0.0, np.empty(0), {})
        found[one.blueprint.algorithm.batch_size] = one  # type: ignore[attr-defined]
    return found


@pytest.mark.slow
def test_the_guides_application_trains_under_the_basic_and_the_joblib_launcher(tmp_path: Path) -> None:
    """Slow: five processes import torch, and three agents are trained."""
    write_application(tmp_path)
    python(tmp_path, "export.py")
    assert OmegaConf.load(tmp_path / "conf/experiment/quickstart.yaml").algorithm.batch_size == 32
    python(tmp_path, "agent.py", "runs=basic", "experiment.algorithm.batch_size=16")
    sweep = ["--multirun", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "experiment.algorithm.batch_size=16,32"]
    python(tmp_path, "agent.py", *sweep, "runs=joblib")
    alone, swept = results(tmp_path / "basic"), results(tmp_path / "joblib")
    assert [*alone] == [16] and sorted(swept) == [16, 32]
    for size, found in swept.items():
        ours = composer.load(TINY, [*SHORT, f"algorithm.batch_size={size}"])
        assert digest(found.blueprint) == digest(ours)
    one, other = (each[16].metrics["evaluation/return"].values for each in (alone, swept))
    assert one.shape == (1, 2) and (one == other).all()
