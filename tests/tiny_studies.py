"""Small studies whose runs train in this process, and a launcher that can die."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import DRIFT, TINY, Stopper, state_digest

from composer.blueprint import load
from composer.blueprint.syntax.notation import experiment
from composer.studies.execution import worker
from composer.studies.execution.engine import Outcome, train_all
from composer.studies.execution.ledger import read_account
from composer.studies.execution.work import JobState, Work
from composer.studies.study.points import Point, StudyRun, study_run
from composer.training import assemble, launch
from composer.training.endings import OpenRun, Stopped
from composer.training.interrupts import Interrupted
from composer.training.loop import train

SHORT = (DRIFT, "training.env_steps=100", "training.log_every=20", "evaluation.every=100", "checkpoint.every=40")


def runs_of(*widths: int, more: Sequence[str] = ()) -> list[StudyRun]:
    """A run for each width of the networks."""
    return [_run_of(width, tuple(more)) for width in widths]


@cache
def _run_of(width: int, more: tuple[str, ...]) -> StudyRun:
    keys = ("networks.actor.trunk.width", "networks.critic.trunk.width")
    point = Point(str(TINY), {"width": width}, tuple(f"{key}={width}" for key in keys))
    return study_run(point, [3], (*SHORT, *more))


class Killed(BaseException):
    """The driver has been killed."""


class Inline:
    """Performs works at once, in this process. ``dies`` is asked before each step and may raise."""

    name, slots = "inline", 1

    def __init__(self, dies: Callable[[str, Work], None] = lambda when, work: None) -> None:
        self._dies = dies
        self.performed: list[str] = []

    def start(self, works: Sequence[Work]) -> list[str]:
        for work in works:
            self._dies("before", work)
            worker.perform(work)
            self.performed.append(work.name)
            self._dies("after", work)
        return [f"{len(self.performed)}" for _ in works]

    def states(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        return {}

    def wait(self, seconds: float) -> None:
        pass

    def stop(self, jobs: Sequence[str]) -> None:
        pass


class Here:
    """Takes the place of the process of a work: trains in this one, whole or until an environment step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        monkeypatch.setattr(worker, "_answer", self._answer)
        self.commands: list[str] = []
        """``train`` and ``resume``, as they came."""
        self.stops_at: list[int] = []
        """Steps at which the next runs are interrupted, as by SIGTERM; others train to their end."""

    def _answer(self, arguments: Sequence[str], work: Work, environment: Mapping[str, str], *_: Any) -> dict[str, Any]:
        with self._patch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            self.commands.append(arguments[0])
            try:
                return {"exit_code": 0, **self._trained(arguments)}
            except Stopped as stopped:
                return {"exit_code": stopped.exit_code, "message": str(stopped), **stopped.table}
            except Exception as error:
                return {"status": "failed", "exit_code": getattr(error, "exit_code", 1), "message": str(error)}

    def _trained(self, arguments: Sequence[str]) -> dict[str, Any]:
        if arguments[0] == "resume" and not self.stops_at:
            return launch.continued(Path(arguments[1]), inexact=False)
        if arguments[0] == "resume":
            run, session, _ = assemble.resume(Path(arguments[1]))
        else:
            blueprint = load(*experiment(arguments[1], arguments[2 : arguments.index("--runs")])).blueprint
            run, session = assemble.start(blueprint, Path(arguments[arguments.index("--runs") + 1]), None)
        if not self.stops_at:
            return dict(launch.train_to_end(run, session, quiet=True).table)
        opened = OpenRun(run, session)
        with pytest.raises(Interrupted) as caught:
            train(session, Stopper(self.stops_at.pop(0)))
        opened.end = caught.value
        opened.close()
        return {"run": str(run.path), "status": "interrupted", "exit_code": 143, "message": "interrupted"}


def result_alone(run: StudyRun, runs: Path) -> str:
    """Train a run without a study; returns the digest of its state."""
    opened, session = assemble.start(run.blueprint, runs, None)
    return state_digest(launch.train_to_end(opened, session, quiet=True).path)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Here:
    """Works train in this process."""
    return Here(monkeypatch)


class Studied:
    """A folder with a study in it."""

    def __init__(self, root: Path) -> None:
        self.runs, self.folder = root / "runs", root / "studies" / "tiny"
        self.said: list[str] = []
        self.launcher = Inline()

    def train(self, runs: Sequence[StudyRun], launcher: Inline | None = None) -> list[Outcome]:
        """Train in a driver of its own; what it said and started is kept."""
        self.said, self.launcher = [], launcher or Inline()
        return train_all(runs, self.folder, self.runs, self.said.append, launcher=self.launcher)

    def ends(self) -> dict[str, tuple[str, str | None]]:
        """The last type and digest by name of the run, as the ledger has them."""
        entries = read_account(self.folder).entries.values()
        return {
            str(entry.planned["name"]): (entry.ended["type"], entry.ended.get("digest"))
            for entry in entries
            if entry.planned and entry.ended
        }


@pytest.fixture
def studied(tmp_path: Path, here: Here) -> Studied:
    """An empty one, whose works train in this process."""
    return Studied(tmp_path)


def every(path: Path) -> Iterator[Path]:
    """The run directories below ``path``."""
    return (each.parent for each in sorted(path.glob("*/run.json")))
