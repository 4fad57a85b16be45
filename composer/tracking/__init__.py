"""Where a run's numbers go: the journal (the truth, on disk), MLflow (a copy, in the background), the terminal."""

from composer.tracking.base import MlflowTracker, NoTracker, Tracker

__all__ = ["MlflowTracker", "NoTracker", "Tracker"]
