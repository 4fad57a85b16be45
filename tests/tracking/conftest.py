"""A run directory as the trainer leaves it, for the tests of what becomes of it."""

import os
import sys
from pathlib import Path

import pytest

from composer.tracking.uploader import ENVIRONMENT

# So that the tests here, and the processes that they start, share ``tracking_run``.
sys.path.append(str(Path(__file__).parent))

# MLflow reads its own when it is imported, by whichever test comes first.
os.environ.update({name: value for name, value in ENVIRONMENT.items() if name.startswith("MLFLOW_")})


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run directory whose journals are still empty, tracked in the embedded store beside ``runs``."""
    from tracking_run import new_run

    return new_run(tmp_path / "runs" / "small")
