"""Trackers that write files into a folder; each has a spec, and a store that only uploading imports.

Tests: tests/tracking/trackers/.
"""

from composer.tracking.trackers.csv_tracker import CsvTracker
from composer.tracking.trackers.parquet_tracker import ParquetTracker
from composer.tracking.trackers.tensorboard_tracker import TensorboardTracker
from composer.tracking.trackers.wandb_tracker import WandbTracker

__all__ = ["CsvTracker", "ParquetTracker", "TensorboardTracker", "WandbTracker"]
