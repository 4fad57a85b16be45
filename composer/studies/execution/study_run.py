"""``composer study run`` and ``composer study status``: the runs of a study file, and how they ended.

Tests: tests/studies/execution/test_study_run.py.
"""

from __future__ import annotations

import math
import shlex
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from composer.spec.quantities import columns, counted
from composer.spec.wording import quote, suggestion
from composer.studies import Refused
from composer.studies.execution.engine import Outcome, train_all
from composer.studies.execution.progress import Progress
from composer.studies.execution.report import report
from composer.studies.execution.results import heading, result_text
from composer.studies.execution.work import Launcher
from composer.studies.planning.fleets import fleets, units
from composer.studies.planning.limits import ensure_agreed
from composer.studies.planning.plan import plan
from composer.studies.report.report import lines as report_lines
from composer.studies.study.load import Study
from composer.studies.study.points import StudyRun, Value, shown

STUDIES = "studies"


def folder_of(study: Study, runs_dir: Path, out: Path | None) -> Path:
    """A study's own folder: ``out``, or ``studies/NAME`` beside the runs directory."""
    return out or runs_dir.parent / STUDIES / study.name


def run_study(
    study: Study,
    runs_dir: Path,
    out: Path | None,
    only: Sequence[str],
    say: Callable[[str], None],
    jobs: int = 1,
    launcher: Launcher | None = None,
    says_yes: bool = True,
) -> dict[str, Any]:
    """Train what a study has not finished yet, and write its report; returns the table of ``--json``.

    ``only`` selects points, as ``selected`` does. Raises AboveLimit for what costs more than the study's limits, unless
    somebody ``says_yes``; Refused, and what ``train_all`` raises.
    """
    runs, folder = selected(study, only), folder_of(study, runs_dir, out)
    programs = programs_of(study)
    if not says_yes:
        planned = plan(study.name, runs, runs_dir, folder, jobs, study.limits, say, False, programs)
        ensure_agreed(planned["above"])
    if len(programs) < len(study.runs):
        say(f"{counted(len(study.runs), 'run')} in {counted(len(programs), 'program')}")
    group, title = partial(units, programs), titles(study)
    outcomes = train_all(runs, folder, runs_dir, say, jobs, launcher, group, title, study.name)
    return table_of(study, outcomes, folder)


def programs_of(study: Study) -> list[list[StudyRun]]:
    """The runs of a study that train in one program, each program in order; most are alone."""
    return fleets(study.runs) if study.is_together else [[run] for run in study.runs]


def table_of(study: Study, outcomes: Sequence[Outcome], folder: Path) -> dict[str, Any]:
    """The table of ``--json``; the study's report is written into ``folder``."""
    written = report(study, outcomes, folder)
    return {
        "study": study.name,
        "folder": str(folder),
        "runs": [_row(each) for each in outcomes],
        **{status: sum(each.status == status for each in outcomes) for status in ("finished", "diverged", "failed")},
        "conclusions": written.conclusions,
        "report": [str(path) for path in written.files],
        "notes": [written.problem] if written.problem else [],
    }


def titles(study: Study) -> Callable[[StudyRun], str]:
    """What a run is called: by its point, and by its task where there are several."""
    return (lambda run: run.point.name) if len(study.tasks) == 1 else (lambda run: run.name)


def selected(study: Study, only: Sequence[str]) -> list[StudyRun]:
    """The runs that fit one of ``only``, each ``AXIS=VALUE,AXIS=VALUE``; all where there is none.

    ``task`` is taken as an axis. Raises Refused for an axis, a value or a combination that
    the study does not have.
    """
    wanted = [_wanted(study, text) for text in only]
    for text, values in zip(only, wanted, strict=True):
        if not any(_fits(run, values) for run in study.runs):
            raise Refused(f"--only {text}: no point of {study.name} has these values together")
    return [run for run in study.runs if not wanted or any(_fits(run, values) for values in wanted)]


def _wanted(study: Study, text: str) -> dict[str, str]:
    """The values by axis, as texts."""
    found: dict[str, str] = {}
    for part in text.split(","):
        axis, is_pair, value = (each.strip() for each in part.partition("="))
        if not is_pair:
            raise Refused(f"--only {text}: expected AXIS=VALUE, or several with commas between them")
        known = {"task": study.tasks} | {name: [shown(each) for each in values] for name, values in study.axes.items()}
        if axis not in known:
            raise Refused(f"--only {text}: no axis named {quote(axis)}{suggestion(axis, known)}")
        if value not in known[axis]:
            raise Refused(f"--only {text}: {axis} has no value {value}; it has {', '.join(known[axis])}")
        found[axis] = value
    return found


def _fits(run: StudyRun, values: Mapping[str, str]) -> bool:
    of_run: dict[str, Value] = {"task": run.task, **run.point.values}
    return all(shown(of_run[axis]) == value for axis, value in values.items() if axis in of_run)


def _row(outcome: Outcome) -> dict[str, Any]:
    run, values = outcome.run, last_values(outcome)
    metric = run.blueprint.environment.evaluation_metric()
    return {
        "point": run.point.name,
        "values": dict(run.point.values),
        "task": run.task,
        "status": outcome.status,
        "exit_code": outcome.exit_code,
        "run": None if outcome.directory is None else str(outcome.directory),
        "digest": outcome.digest,
        "was_before": outcome.was_before,
        "metric": metric.name,
        "final_return": statistics.fmean(values) if values and math.isfinite(sum(values)) else None,
        "result": result_text(values, metric),
        "message": outcome.message or None,
    }


def last_values(outcome: Outcome) -> list[float]:
    """The last evaluation of a run by seed; empty where it has none."""
    if outcome.directory is None:
        return []
    progress = Progress(outcome.directory, outcome.run.blueprint.environment.metric)
    progress.read()
    return progress.values


def text(table: Mapping[str, Any]) -> str:
    """The table of outcomes for people, and the commands that go on."""
    rows = [("point", "task", "status", heading(each["metric"] for each in table["runs"]), "run")]
    for each in table["runs"]:
        status = f"{each['status']} ({each['exit_code']})" if each["exit_code"] else each["status"]
        rows.append((each["point"], each["task"], status, each["result"], each["run"] or ""))
    lines = [*columns(rows, right=(3,))]
    for each in table["runs"]:
        if each["status"] == "failed":
            message = (each["message"] or "").partition("\n")[0]
            lines.append(f"{each['point']} on {each['task']} failed: {message}")
    counts = [f"{table[each]:,} {each}" for each in ("finished", "diverged", "failed") if table[each]]
    lines.append(f"{', '.join(counts)} of {counted(len(table['runs']), 'run')}")
    lines += [*report_lines(table["conclusions"], table["report"]), *table["notes"]]
    if table["failed"]:
        lines.append("the same command again tries those that failed, and nothing else")
    if table["finished"] > 1:
        lines.append(f"compare them: composer compare {shlex.quote(table['folder'])}")
    return "\n".join(lines)
