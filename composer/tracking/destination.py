"""The tracking store of a run directory, read again. Tests: tests/tracking/test_uploader.py."""

from __future__ import annotations

from pathlib import Path

from composer.tracking.base import Destination, MlflowTracker, located
from composer.tracking.records import Tracking


def recall(run_dir: Path, tracking: Tracking) -> Destination:
    """The store of a run: that of its blueprint, else that of the environment now, else that of the environment then.

    Raises:
        ValueError: its URI was not recorded because it holds credentials, and the environment has none now.
    """
    runs_dir = (run_dir / tracking.runs_dir).resolve()
    if tracking.source == "blueprint" and tracking.uri is not None:
        return located(tracking.uri, "blueprint", runs_dir)
    now = MlflowTracker().destination(runs_dir)
    if now.source == "embedded" and tracking.source == "environment":
        if tracking.uri is None:
            raise ValueError("the run's store was named by MLFLOW_TRACKING_URI, with credentials; set it again")
        return located(tracking.uri, "environment", runs_dir)
    return now
