"""Records of a run: the journal (on disk, authoritative), MLflow (a copy, in the background), the terminal."""

from composer.tracking.base import NoTracker, Tracker
from composer.tracking.mlflow_tracker import MlflowTracker

__all__ = ["MlflowTracker", "NoTracker", "Tracker"]
