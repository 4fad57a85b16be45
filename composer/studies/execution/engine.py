"""Train the runs of a study, each once, by any launcher: what was finished before is skipped, what was begun resumed.

Tests: tests/studies/execution/test_engine.py, tests/studies/test_sweep_continues.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from composer.studies.execution.display import watching
from composer.studies.execution.driver import Driver
from composer.studies.execution.feed import Feed, NoFeed
from composer.studies.execution.item import Place
from composer.studies.execution.ledger import holding
from composer.studies.execution.local import LocalLauncher
from composer.studies.execution.outcome import Outcome as Outcome
from composer.studies.execution.outcome import Unit as Unit
from composer.studies.execution.outcome import one_each
from composer.studies.execution.resources import share, threads_of
from composer.studies.execution.stopping import raising_on_signals
from composer.studies.execution.work import Launcher
from composer.studies.study.points import StudyRun


def train_all(
    runs: Sequence[StudyRun],
    folder: Path,
    runs_dir: Path,
    say: Callable[[str], None],
    jobs: int = 1,
    launcher: Launcher | None = None,
    group: Callable[[Sequence[StudyRun]], Sequence[Unit]] = one_each,
    title: Callable[[StudyRun], str] = lambda run: run.name,
    study: str = "",
    feed: Feed | None = None,
) -> list[Outcome]:
    """Train ``runs`` and return how each ended, in their order. A failure does not stop the other runs.

    Run directories are below ``runs_dir``; ``folder`` is the study's own, with its ledger, answers and logs. ``study``
    is its name, by default that of the folder. ``launcher`` starts processes, by default ``jobs`` at a time on this
    machine; ``group`` says which of the runs that begin share a process. ``title`` names a run for people. Each process
    has as many threads as the study had when it began, at first its share of this machine. A ``feed`` gives further
    runs while these train, and may stop some early; it is told how each of them ends.

    Raises StudyInUse and LedgerDamaged, and StudyStopped on a signal, after the runs have saved themselves.
    """
    launcher = launcher or LocalLauncher(jobs)
    with holding(folder) as ledger, watching(say) as watch:
        place = Place(folder, runs_dir, study or folder.name, threads_of(folder, share(launcher.slots)))
        driver = Driver(runs, place, ledger, launcher, watch, title, feed or NoFeed())
        with raising_on_signals():
            try:
                driver.train(group)
            except BaseException:
                driver.stop()
                raise
        return [driver.outcome(run) for run in runs]
