"""Train the runs of a study, each once: what was finished before is skipped.

Tests: tests/studies/execution/test_engine.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from composer.studies.study.points import StudyRun
from composer.studies.sweep import SweepRun, finished
from composer.studies.sweep_processes import Processes, raising_on_signals


@dataclass(frozen=True)
class Outcome:
    """How one run ended."""

    run: StudyRun
    status: str
    exit_code: int
    directory: Path | None
    """Its run directory, where there is one."""
    message: str = ""


def train_all(
    runs: Sequence[StudyRun], folder: Path, runs_dir: Path, say: Callable[[str], None], jobs: int = 1
) -> list[Outcome]:
    """Train ``runs``, at most ``jobs`` at a time, and return how each ended, in their order.

    Run directories are below ``runs_dir``; ``folder`` is the study's own. A failure does not stop the other runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    processes = Processes(say)

    def train(run: StudyRun) -> Outcome:
        if (done := finished(runs_dir, SweepRun(run.name, None, run.blueprint))) is not None:
            return Outcome(run, "finished", 0, done)
        (row,) = processes.train([run.name], ["train", *run.arguments, "--runs", str(runs_dir)], None)
        where = Path(row["run"]) if row["run"] else None
        return Outcome(run, row["status"], row["exit_code"], where, row.get("message") or "")

    with ThreadPoolExecutor(jobs) as pool, raising_on_signals():
        try:
            return list(pool.map(train, runs))
        except BaseException:
            processes.stop()
            raise
