"""How far a study is, read from its ledger and run directories; it may be in training meanwhile.

Tests: tests/studies/execution/test_study_run.py.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from composer.spec.quantities import columns
from composer.studies.execution.directories import RunDirectories, chosen
from composer.studies.execution.display import duration
from composer.studies.execution.ledger import Entry, holder_of, read_account
from composer.studies.execution.outcome import Outcome
from composer.studies.execution.progress import Overview, Progress, Status
from composer.studies.execution.results import heading, result_text
from composer.studies.execution.study_run import folder_of
from composer.studies.execution.versions import Versions, versions_of
from composer.studies.study.load import Study
from composer.studies.study.points import StudyRun


def status(study: Study, runs_dir: Path, out: Path | None) -> dict[str, Any]:
    """The table of ``--json``. A study that was never begun waits as a whole; nothing is an error."""
    folder = folder_of(study, runs_dir, out)
    account, directories, process = read_account(folder), RunDirectories(runs_dir), holder_of(folder)
    directories.refresh()
    versions = versions_of(study.runs, is_to_run=False)
    found = [_status(run, account.of(run.key), directories, versions[run.key], bool(process)) for run in study.runs]
    pace = [_pace(each, account.of(run.key)) for run, each in zip(study.runs, found, strict=True)]
    overview = Overview(found, pace, max(1, sum(each.state == "running" for each in found)))
    return {
        "study": study.name,
        "folder": str(folder),
        "process": process or None,
        "counts": overview.counts,
        "seconds_left": round(overview.seconds_left) if process and math.isfinite(overview.seconds_left) else None,
        "ledger_problem": account.problem,
        "runs": [_row(run, each) for run, each in zip(study.runs, found, strict=True)],
    }


def outcomes(study: Study, runs_dir: Path, out: Path | None) -> list[Outcome]:
    """How the runs of a study have ended until now; those that have not are ``running``, ``waiting`` and the like."""
    rows = status(study, runs_dir, out)["runs"]
    return [
        Outcome(run, row["state"], 0, None if row["run"] is None else Path(row["run"]), row["message"] or "")
        for run, row in zip(study.runs, rows, strict=True)
    ]


def text(table: Mapping[str, Any]) -> str:
    """A line per run, and one for the whole."""
    head = heading(each["metric"] for each in table["runs"])
    rows = [("point", "task", "seeds", "state", "env steps", head, "left", "run")]
    for each in table["runs"]:
        steps = f"{each['done']:,} of {each['env_steps']:,}"
        left = "" if each["seconds_left"] is None else duration(each["seconds_left"])
        cells = (each["point"], each["task"], str(each["seeds"]), each["state"], steps, each["result"], left)
        rows.append((*cells, each["run"] or ""))
    lines = columns(rows, right=(2, 4, 5, 6))
    counts = ", ".join(f"{number:,} {state}" for state, number in table["counts"].items())
    left = table["seconds_left"]
    lines.append(f"{counts} of {len(rows) - 1:,}" + (f"; about {duration(left)} left" if left is not None else ""))
    by = f"process {table['process']} trains it" if table["process"] else "no process trains it"
    lines.append(f"{by}; its ledger and logs are in {table['folder']}")
    if table["ledger_problem"]:
        lines.append(f"the ledger could not be read to its end: {table['ledger_problem']}")
    return "\n".join(lines)


def _status(run: StudyRun, entry: Entry, directories: RunDirectories, versions: Versions, is_driven: bool) -> Status:
    steps = run.blueprint.training.env_steps
    found, ended = chosen(directories.find(run.key, steps, versions)), entry.ended
    message = str(ended.get("message", "")) if ended is not None else ""
    is_open = is_driven and entry.started is not None and ended is None
    if found is None or found.state == "begun":
        has_failed = ended is not None and ended["type"] == "failed"
        state = "running" if is_open else "failed" if has_failed else "interrupted" if found else "waiting"
    else:
        state, message = "running" if found.state == "held" else found.state, ""
    facts = Status(run.name, state, steps, message=message, seeds=len(run.blueprint.seeds))
    facts = replace(facts, metric=run.blueprint.environment.evaluation_metric())
    if found is None:
        return facts
    progress = Progress(found.path, facts.metric.name)
    progress.read()
    progress.read_times()
    left = progress.seconds_left(time.time()) if state == "running" else math.nan
    done = steps if state == "finished" else progress.done
    return replace(facts, done=done, values=progress.values, seconds_left=left, directory=found.path)


def _pace(each: Status, entry: Entry) -> tuple[int, float]:
    """Environment steps and seconds of a run that was trained in one go."""
    if entry.started is None or entry.starts > 1 or each.state not in ("running", "finished"):
        return 0, 0.0
    end = entry.ended["time"] if entry.ended is not None else time.time()
    return each.done, end - entry.started["time"]


def _row(run: StudyRun, each: Status) -> dict[str, Any]:
    return {
        "point": run.point.name,
        "values": dict(run.point.values),
        "task": run.task,
        "state": each.state,
        "env_steps": each.env_steps,
        "done": each.done,
        "seeds": each.seeds,
        "seconds_left": round(each.seconds_left) if math.isfinite(each.seconds_left) else None,
        "metric": each.metric.name,
        "result": result_text(each.values, each.metric),
        "last_return": each.last_return if math.isfinite(each.last_return) else None,
        "run": None if each.directory is None else str(each.directory),
        "message": each.message or None,
    }
