"""Published results, read from a CSV file: ``method,suite,env,step,metric,mean,std,n_seeds`` among its columns.

Tests: tests/benchmarks/test_gpu.py.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

COLUMNS = ("method", "env", "step", "metric", "mean", "std", "n_seeds")
METRIC = "avg_return"


class Published(NamedTuple):
    """One published number."""

    mean: float
    std: float | None
    """Standard deviation over seeds; None for one seed."""
    seeds: int


def published(file: Path, method: str, task: str) -> dict[int, Published]:
    """Mean returns of a method on a task by environment step; ValueError where columns are missing.

    ``task`` is dm_control's name with a hyphen, as blueprints have it; the file joins domain and task by ``_``.
    """
    with file.open(newline="") as text:
        reader = csv.DictReader(text)
        lacking = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if lacking:
            raise ValueError(f"{file.name}: no column {', '.join(map(repr, lacking))}")
        return {
            int(row["step"]): Published(
                float(row["mean"]), float(row["std"]) if row["std"] else None, int(row["n_seeds"])
            )
            for row in reader
            if (row["method"], row["env"], row["metric"]) == (method, task.replace("-", "_"), METRIC)
        }
