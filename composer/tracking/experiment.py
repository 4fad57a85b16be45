"""The MLflow experiment of a run: one per project, or per study. Tests: tests/tracking/test_experiment.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from composer.tracking.mlflow_tracker import MlflowTracker
from composer.tracking.records import Tracking

UNNAMED: Final = "composer"
"""The experiment of a project whose folder has no name that MLflow takes."""
LONGEST: Final = 200


def project_experiment(runs_dir: Path) -> str:
    """The experiment of runs in ``runs_dir`` that belong to no study: the name of the folder that has the directory.

    Characters that a name may not have are ``_``.
    """
    return experiment_name(runs_dir.resolve().parent.name)


def experiment_name(text: str) -> str:
    """``text`` as the name of an experiment (``tracking.experiment`` has the rule)."""
    plain = re.sub(r"[^A-Za-z0-9@._ -]", "_", text)
    return re.sub(r"^[^A-Za-z0-9]+", "", plain)[:LONGEST] or UNNAMED


def experiment_in(runs_dir: Path) -> str:
    """The experiment that the newest tracked run of a directory is in; that of the project where there is none."""
    found = newest(runs_dir)
    return project_experiment(runs_dir) if found is None else found[1].experiment


def opening(runs_dir: Path) -> str | None:
    """How the newest tracked run of a directory is looked at where MLflow has it not; None where MLflow has it.

    Raises StoreRefused where its store cannot be used.
    """
    found = newest(runs_dir)
    if found is None or found[1].kind == MlflowTracker.kind:
        return None
    run_dir, tracking = found
    return tracking.tracker().opening(tracking.destination(run_dir))


def newest(runs_dir: Path) -> tuple[Path, Tracking] | None:
    """The newest tracked run of a directory; None where there is none."""
    # pathlib's * also matches the names of directories that are being made.
    found = [path for path in runs_dir.glob(f"*/{Tracking.file}") if not path.parent.name.startswith(".")]
    for path in sorted(found, key=lambda each: (each.stat().st_mtime_ns, each), reverse=True):
        if (tracking := Tracking.load(path.parent)) is not None:
            return path.parent, tracking
    return None
