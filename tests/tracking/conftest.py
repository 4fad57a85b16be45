"""A run directory as the trainer leaves it, for the tests of what becomes of it."""

import json
import os
import sys
from pathlib import Path

import pytest

from composer.tracking.records import Tracking
from composer.tracking.uploader import ENVIRONMENT

# So that the tests here, and the processes that they start, share ``tracking_run``.
sys.path.append(str(Path(__file__).parent))

# MLflow reads its own when it is imported, by whichever test comes first.
os.environ.update({name: value for name, value in ENVIRONMENT.items() if name.startswith("MLFLOW_")})


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run directory whose journals are still empty, tracked in the embedded store beside ``runs``."""
    from tracking_run import SEEDS

    path = tmp_path / "runs" / "small"
    path.mkdir(parents=True)
    run = {"run_id": "r-1", "name": "sac", "seeds": SEEDS, "variant": "reset", "task": "walker-walk"}
    (path / "run.json").write_text(json.dumps(run))
    (path / "blueprint.toml").write_text('name = "sac"\n')
    (path / "parameters.json").write_text("{}")
    Tracking(
        uri=None,
        source="embedded",
        experiment="composer",
        system_metrics=True,
        parameters={"algorithm": {"kind": "sac", "note": "x" * 7000}},
        tags={"algorithm": "sac", "composer.hash": "abc"},
    ).save(path)
    return path
