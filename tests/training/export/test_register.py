"""A registered policy is loaded by MLflow in a fresh process, and equals the exported one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import composer
from composer.cli import app
from composer.tracking.records import StoredRun, Tracking
from composer.tracking.store import StoreError
from composer.training.export import register as module
from composer.training.export.export import export
from composer.training.export.formats import FORMATS
from composer.training.export.register import NotRegistered, register

# MLflow's own, with the SQLAlchemy that it asks for.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

ROOT = Path(__file__).parents[3]
LOAD = """
import json, sys, warnings
warnings.simplefilter("ignore")
import mlflow, numpy as np
mlflow.set_tracking_uri(sys.argv[1]); mlflow.set_registry_uri(sys.argv[1])
policy = mlflow.pyfunc.load_model("models:/pole/2")
print(json.dumps(policy.predict(np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)).tolist()))
"""


def train(folder: Path, *overrides: str) -> Path:
    short = ["training.env_steps=40", "evaluation.every=20", "checkpoint.every=40", "algorithm.warmup_interactions=10"]
    quick = ["compute.compile=never", "compute.threads=1", "evaluation.episodes=1", "seeds=[0]"]
    blueprint = composer.load("classic/pendulum_ddpg", [*short, *quick, *overrides])
    return composer.train(blueprint, folder).path


def test_what_cannot_be_registered(tmp_path: Path) -> None:
    run = train(tmp_path / "runs", "tracking.kind=none")
    with pytest.raises(NotRegistered, match="is in no MLflow store yet: composer sync"):
        register(run, "pole")
    with pytest.raises(NotRegistered, match="is no name of a model"):
        register(run, "a/b")


def test_a_server_that_a_run_names_gets_no_credentials_and_its_refusal_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, seen = "http://127.0.0.1:9", dict[str, str]()
    Tracking(uri, "blueprint", "walker", False, {}, {}).save(tmp_path)
    StoredRun(uri, "1", "r", {}).save(tmp_path)

    def refuse(*_: object) -> str:
        seen.update(os.environ)
        raise ValueError("API request failed with error code 403 != 200. Response body: 'Permission denied'")

    monkeypatch.setattr(module, "export", lambda *_: {})
    monkeypatch.setattr(module, "_model", lambda *_: tmp_path)
    monkeypatch.setattr(module, "_version", refuse)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    with pytest.raises(StoreError, match="may not write to the experiment 'walker': have EDIT granted on it"):
        register(tmp_path, "pole")
    assert seen and "hunter2" not in seen.values()


@pytest.mark.slow
def test_mlflow_loads_a_registered_policy(tmp_path: Path) -> None:
    """Alone registers two versions in a real store, and loads one by MLflow in a process of its own."""
    run = train(tmp_path / "runs")
    for version in ("1", "2"):
        done = CliRunner().invoke(app, ["register", str(run), "--name", "pole", "--checkpoint", "last", "--json"])
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout.splitlines()[-1])["version"] == version
    uri = f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true"}
    words = [sys.executable, "-c", LOAD, uri]
    loaded = subprocess.run(words, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert loaded.returncode == 0, loaded.stderr[-2000:]
    card = export(run, "torch", None, out=tmp_path / "out")
    call = FORMATS["torch"].load(tmp_path / "out" / card["file"])
    expected = call(torch.from_numpy(np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)))
    assert json.loads(loaded.stdout.splitlines()[-1]) == expected.tolist()
