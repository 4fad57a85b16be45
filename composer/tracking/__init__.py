"""Records of a run: the journal (on disk, authoritative), MLflow (a copy, in the background), the terminal."""

from composer.tracking.base import NoTracker, Tracker
from composer.tracking.mlflow_tracker import MlflowTracker
from composer.tracking.trackers import CsvTracker, ParquetTracker, TensorboardTracker, WandbTracker

__all__ = [
    "CsvTracker",
    "MlflowTracker",
    "NoTracker",
    "ParquetTracker",
    "TensorboardTracker",
    "Tracker",
    "WandbTracker",
]
