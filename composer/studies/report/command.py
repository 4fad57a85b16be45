"""``composer study report``: the report of what has ended until now, also of a study that is being trained.

Tests: tests/studies/test_study_report.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from composer.spec.quantities import counted
from composer.studies.execution.study_run import folder_of
from composer.studies.execution.study_status import outcomes
from composer.studies.report.report import ENDED, lines, write_report
from composer.studies.study.load import Study


def make_anew(study: Study, runs_dir: Path, out: Path | None) -> dict[str, Any]:
    """Write the report of what has ended until now; returns the table of ``--json``."""
    folder, found = folder_of(study, runs_dir, out), outcomes(study, runs_dir, out)
    folder.mkdir(parents=True, exist_ok=True)
    ended = [each for each in found if each.status in ENDED]
    written = write_report(study, found, folder)
    return {
        "study": study.name,
        "folder": str(folder),
        "runs": len(found),
        "ended": len(ended),
        "missing": [{"run": each.run.name, "state": each.status} for each in found if each not in ended],
        "conclusions": written.conclusions,
        "report": [str(path) for path in written.files],
        "notes": [written.problem] if written.problem else [],
    }


def text(table: Mapping[str, Any]) -> str:
    """What is missing, and the files."""
    missing = [f"missing: {each['run']} ({each['state']})" for each in table["missing"]]
    counts = f"{table['ended']} of {counted(table['runs'], 'run')} have ended"
    return "\n".join([*missing, counts, *lines(table["conclusions"], table["report"]), *table["notes"]])
