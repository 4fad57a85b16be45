"""Records of a run: the journal (on disk, authoritative), MLflow (a copy, in the background), the terminal."""

from composer.tracking.base import MlflowTracker, NoTracker, Tracker

__all__ = ["MlflowTracker", "NoTracker", "Tracker"]
