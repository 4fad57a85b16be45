"""What the finished runs of a study say of its points. Tests: tests/studies/discover/test_discover.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from composer.studies.execution.directories import RunDirectories, state_of
from composer.studies.scale.target import Target, falls
from composer.studies.statistics import Floats
from composer.studies.study.load import Study
from composer.studies.study.points import StudyRun


@dataclass(frozen=True)
class Evidence:
    """The points of a study that were trained."""

    trained: tuple[int, ...]
    """The points whose runs on all tasks are finished."""
    scores: tuple[Floats, ...]
    """One score per seed of each of them, higher is better; on several tasks the mean of standardised scores."""
    diverged: tuple[int, ...]
    """The points of which a run diverged: they have no score and are not chosen again."""


def runs_of(study: Study, point: int) -> Sequence[StudyRun]:
    """The runs of a point, one per task."""
    tasks = len(study.runs) // len(study.points)
    return study.runs[point * tasks : (point + 1) * tasks]


def read(study: Study, metric: str, runs_dir: Path) -> Evidence:
    """From the run directories below ``runs_dir``. Raises Refused where a finished run lacks the metric."""
    directories = RunDirectories(runs_dir)
    directories.refresh()
    scores: dict[int, list[Floats]] = {}
    diverged = []
    for point in range(len(study.points)):
        found = [_of_run(run, metric, directories) for run in runs_of(study, point)]
        if all(isinstance(each, np.ndarray) for each in found):
            scores[point] = [each for each in found if isinstance(each, np.ndarray)]
        elif "diverged" in found:
            diverged.append(point)
    return Evidence(tuple(scores), tuple(_over_tasks([*scores.values()])), tuple(diverged))


def _of_run(run: StudyRun, metric: str, directories: RunDirectories) -> Floats | str:
    """The seeds' scores, or the state of the newest directory; empty without one."""
    states = [(state_of(path, run.blueprint.training.env_steps), path) for path in directories.of(run.key)]
    for state, path in states:
        if state == "finished":
            values, _ = Target(metric).read(path, run.blueprint)
            return -values if falls(metric, run.blueprint) else values
    return states[0][0] if states else ""


def _over_tasks(scores: Sequence[Sequence[Floats]]) -> list[Floats]:
    """One array per point: of several tasks, each is standardised over points first."""
    if not scores or len(scores[0]) == 1:
        return [each[0] for each in scores]
    means = np.array([[seeds.mean() for seeds in each] for each in scores])
    centre, spread = means.mean(0), np.where(means.std(0) > 0, means.std(0), 1.0)
    return [np.mean((np.array(each) - centre[:, None]) / spread[:, None], axis=0) for each in scores]
