"""Learning curves at published size, many seeds in one program, in stretches that continue from the last checkpoint.

Tests: tests/benchmarks/test_gpu.py.
"""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.gpu.agents import SIMBA, Case
from benchmarks.gpu.pieces import Findings, Piece, Row, require
from benchmarks.gpu.published import Published, published
from benchmarks.gpu.setting import Setting
from benchmarks.gpu.until import Until
from composer.training import assemble
from composer.training.interrupts import Interrupted
from composer.training.loop import train
from composer.training.runs.directory import read_blueprint
from composer.training.runs.results import Series, read_metrics

METHOD: Final = "sac_simba"
"""Name of the blueprint's method in files of published results."""
SEEDS: Final = 10
"""As in SimBa's published results on these tasks (arXiv:2410.09754 and its code)."""
TASKS: Final = ("hopper-hop", "acrobot-swingup", "walker-run")
"""Of the suite dmc_em, those on which results still differ at its end. This project's choice."""
_RETURN: Final = "evaluation/return"


def learn(task: str, setting: Setting) -> Findings:
    """One stretch of a task's run; the piece is unfinished until the run is at its end."""
    require("dm_control", "tomli_w")
    deadline = time.monotonic() + setting.seconds()
    folder = setting.runs / f"{task}-{setting.scale}"
    found = sorted(folder.glob("*/run.json"))
    if found:
        run, session, notes = assemble.resume(found[-1].parent)
    else:
        run, session = assemble.start(_blueprint(task, setting), folder, None)
        notes = []
    finished, began, before = True, time.monotonic(), session.clock.updates
    total = session.training.env_steps
    try:
        train(session, Until(total, deadline=deadline))
    except Interrupted:
        finished = False
    finally:
        reached, rate = session.clock.env_steps, (session.clock.updates - before) / (time.monotonic() - began)
        session.close()
        run.close()
    findings = _curve(run.path, task, setting)
    findings.finished = finished
    findings.notes += [
        *notes,
        f"{reached:,} of {total:,} environment steps a seed, {len(session.seeds)} seeds",
        f"{rate:,.1f} updates a second of all seeds at once in the last stretch, environments and evaluations included",
    ]
    return findings


def _blueprint(task: str, setting: Setting) -> Any:
    """The published blueprint, with the suite's seeds and compute settings."""
    seeds = setting.sized(SEEDS, 2)
    toy = ("training.env_steps=60", "evaluation={ every = 60, episodes = 1 }", "algorithm.warmup_interactions=20")
    case = Case(task, SIMBA.blueprint, (f"environment.task={task}",), (*SIMBA.toy, *toy, "replay.capacity=1000"))
    workers = setting.sized(min(seeds, os.cpu_count() or 1), 0)
    mode = "always" if setting.compiles else "never"
    return case.load(
        setting,
        seeds,
        f"environment.workers={workers}",
        f"compute.device={setting.device}",
        f"compute.compile={mode}",
    )


def _curve(path: Path, task: str, setting: Setting) -> Findings:
    """Evaluations so far, with the published results."""
    metrics = read_metrics(path / "journal.jsonl", read_blueprint(path).seeds)
    if _RETURN not in metrics:
        return Findings(notes=["no evaluation yet"])
    series = metrics[_RETURN]
    theirs: dict[int, Published] = {}
    notes = ["no file of published results was given"]
    if setting.published is not None:
        theirs = published(setting.published, METHOD, task)
        notes = [] if theirs else [f"{setting.published.name} has nothing of {METHOD} on {task}"]
    last = int(series.env_steps[-1])
    steps = [step for step in sorted({*theirs, last}) if step <= last]
    curve = {"env_steps": series.env_steps.tolist(), "returns": series.values.tolist()}
    return Findings(rows=[_row(series, theirs, step) for step in steps], notes=notes, data={"curve": curve})


def _row(series: Series, theirs: dict[int, Published], step: int) -> Row:
    """Returns of the seeds at the last evaluation up to a step."""
    column = int(np.searchsorted(series.env_steps, step, side="right")) - 1
    values = series.values[:, column] if column >= 0 else np.array([])
    values = values[~np.isnan(values)]
    several = len(values) > 1
    known = theirs.get(step)
    return {
        "environment steps": step,
        "mean return": float(values.mean()) if len(values) else None,
        "std over seeds": float(values.std(ddof=1)) if several else None,
        "seeds": len(values),
        "published mean": known and known.mean,
        "published std": known and known.std,
        "published seeds": known and known.seeds,
    }


PIECES: Final = tuple(
    Piece(
        f"learning-{task}",
        f"SAC with SimBa on {task} at its published settings, all seeds in one program.",
        partial(learn, task),
    )
    for task in TASKS
)
