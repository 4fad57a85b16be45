"""What ``composer study run`` leaves in a study's folder when its runs have ended.

Tests: tests/studies/execution/test_study_run.py.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from composer.studies.execution.outcome import Outcome
from composer.studies.report.report import Report, write_report
from composer.studies.study.load import Study

OUTCOMES = "outcomes.csv"


def report(study: Study, outcomes: Sequence[Outcome], folder: Path) -> Report:
    """Write what the runs say into ``folder``. Diverged and failed runs are among ``outcomes``."""
    staged = folder / f".tmp-{OUTCOMES}"
    with staged.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([*study.axes, "task", "status", "digest", "run"])
        for each in outcomes:
            values = [each.run.point.values.get(axis, "") for axis in study.axes]
            rows.writerow([*values, each.run.task, each.status, each.digest or "", each.directory or ""])
    written = write_report(study, outcomes, folder)
    return written._replace(files=[staged.replace(folder / OUTCOMES), *written.files])
