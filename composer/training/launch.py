"""What ``composer train``, ``resume``, ``evaluate``, ``digest`` and ``sync`` do, as functions.

Each way in which a run can end has an exit code (``EXIT_CODES``); the command line prints, here it is decided.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from composer.blueprint import load
from composer.environments.interface import EnvironmentFailure, InvalidAction
from composer.environments.labelled.datasets import DataUnusable
from composer.tracking.console import Console
from composer.tracking.journal import JournalError
from composer.tracking.records import JOURNAL
from composer.tracking.uploader import UploadReport
from composer.tracking.uploader import sync as send_pending
from composer.training import assemble, profiling
from composer.training import fork as forking
from composer.training import population as fleet
from composer.training.compile.capture import Unavailable
from composer.training.evaluation import Evaluator
from composer.training.interrupts import Interrupted
from composer.training.learner import Diverged
from composer.training.loop import Outcome, train, train_together
from composer.training.runs import directory as runs
from composer.training.runs.checkpoint import CheckpointDamaged, Checkpoints
from composer.training.runs.checkpoint import digest as state_digest
from composer.training.runs.results import Result, read_metrics
from composer.training.session import Session

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.tracking.records import RunStatus


class StoreRefused(ValueError):
    """The tracking store that the environment names cannot be used."""


EXIT_CODES: dict[type[BaseException], int] = {
    assemble.NotTheSame: 2,
    forking.NotForkable: 2,
    Unavailable: 2,
    StoreRefused: 2,
    runs.RunUnusable: 3,
    JournalError: 3,
    CheckpointDamaged: 4,
    Diverged: 5,
    InvalidAction: 5,
    EnvironmentFailure: 6,
    DataUnusable: 6,
    MemoryError: 7,
    torch.OutOfMemoryError: 7,
    OSError: 7,
    KeyboardInterrupt: 130,
}
"""Exit code of every expected end but success (0), a bad blueprint (2) and a signal (128 + its number)."""

UPLOAD_SECONDS = 60.0
INTERRUPTED_UPLOAD_SECONDS = 5.0
"""Whoever sends SIGTERM sends SIGKILL soon after; what is not sent by then waits for ``composer sync``."""
FRESH_EPISODES = 2**62
"""Number of an evaluation that no training run reaches: its episodes are none that were seen before."""
FRAMES_PER_SECOND = 30


class Stopped(RuntimeError):
    """A run ended before its end; ``table`` is what ``--json`` prints, ``exit_code`` what the shell sees."""

    def __init__(self, message: str, exit_code: int, table: dict[str, Any]) -> None:
        """``message`` says what happened and which command goes on."""
        super().__init__(message)
        self.exit_code, self.table = exit_code, table


def start(blueprint: Blueprint, directory: Path, variant: str | None, quiet: bool, profiled: bool = False) -> Result:
    """Train a blueprint in a new run directory under ``directory``; raises Stopped.

    ``profiled`` tells at the end where the time went; the table is also ``profile.json`` in the run directory.
    """
    _check_store(blueprint, directory)
    run, session = assemble.start(blueprint, directory, variant)
    return _drive(run, session, [], quiet, profiling.profile(session) if profiled else None)


def start_together(blueprints: Mapping[str | None, Blueprint], directory: Path, quiet: bool) -> dict[str, Any]:
    """Train variants beside each other in one program, each in a new run directory; a row each of what came of it.

    One that diverges, or whose environment fails, does not stop the others. Raises Stopped where all are stopped.
    """
    for blueprint in blueprints.values():
        _check_store(blueprint, directory)
    ships, stack = fleet.start(blueprints, directory)
    try:
        with Console(ships[0].run.blueprint.training.env_steps, not quiet) as console:
            for run, session in ships:
                console.note(f"{session.title}: run {run.path}")
                assemble.start_uploading(session, run)
            for line in (f"one update of all of them is {_how(ships[0].run)}", *_elsewhere(ships[0].run)):
                console.note(line)
            ends: Sequence[Outcome | BaseException] = train_together(
                [ship.session for ship in ships], stack.learn, console
            )
    except BaseException as error:
        ends = [error] * len(ships)
        if not isinstance(error, (Interrupted, *EXIT_CODES)):
            raise
    finally:
        rows = [_ended(ship, end) for ship, end in zip(ships, ends, strict=True)]
    table = {"runs": rows, "failed": sum(bool(row["exit_code"]) for row in rows)}
    codes = {row["exit_code"] for row in rows}
    if len(codes) == 1 and codes != {0}:
        raise Stopped("\n".join(dict.fromkeys(row["message"] for row in rows)), codes.pop(), table)
    return table


def _ended(ship: fleet.Ship, end: Outcome | BaseException) -> dict[str, Any]:
    """Close one run of a fleet and say what came of it."""
    run, session = ship
    row: dict[str, Any] = {"variant": session.title, "run": str(run.path), "status": "finished", "exit_code": 0}
    status: RunStatus = "FINISHED"
    with suppress(OSError):
        session.close()
    if isinstance(end, Outcome):
        row |= _table(run, "finished", end)
    elif isinstance(end, Interrupted):
        status, message = "KILLED", f"interrupted ({end}) and saved at environment step {session.clock.env_steps:,}"
        row |= {"status": "interrupted", "exit_code": end.exit_code, "message": _go_on(message, run)}
    else:
        status, message = "FAILED", str(end) or type(end).__name__
        row |= {"status": "failed", "exit_code": exit_code(end), "message": _go_on(message, run)}
    session.uploader.finish(status, UPLOAD_SECONDS if status == "FINISHED" else INTERRUPTED_UPLOAD_SECONDS)
    run.close()
    return row


def resume(path: Path, inexact: bool, quiet: bool) -> Result:
    """Go on from the newest good checkpoint of a run; raises Stopped."""
    _check_store(runs.read_blueprint(path), path.parent)
    run, session, notes = assemble.resume(path, inexact)
    return _drive(run, session, notes, quiet)


def fork(path: Path, overrides: Sequence[str], at: int | None, branch: int, directory: Path, quiet: bool) -> Result:
    """Go on from a checkpoint of a run under a changed blueprint, in a new run directory under ``directory``.

    Raises BlueprintError for overrides that make no valid blueprint, NotForkable for those that a fork cannot take,
    and Stopped.
    """
    runs.read_facts(path)
    blueprint = load(path / "blueprint.toml", overrides).blueprint
    _check_store(blueprint, directory)
    run, session, notes = forking.fork(path, blueprint, at, branch, directory)
    return _drive(run, session, notes, quiet)


def evaluate(path: Path, episodes: int, video: Path | None) -> dict[str, Any]:
    """Play ``episodes`` fresh episodes a seed with the newest good checkpoint; ``video`` films the first one."""
    from composer.training.video import VideoRecorder

    blueprint, learner, snapshot = assemble.agent(path)
    evaluator = assemble.evaluator(blueprint, episodes, learner.device)
    if video is not None and not isinstance(evaluator, Evaluator):
        raise runs.RunUnusable(f"{path}: labelled data cannot be filmed")
    try:
        if video is None or not isinstance(evaluator, Evaluator):
            returns = evaluator.returns(learner, FRESH_EPISODES)
        else:
            with VideoRecorder(video, FRAMES_PER_SECOND) as recorder:
                returns = evaluator.returns(learner, FRESH_EPISODES, recorder.take)
    finally:
        evaluator.close()
    return {
        "run": str(path),
        "env_steps": snapshot.values["interactions"] * blueprint.environment.stride,
        "return": float(returns.mean()),
        "returns": dict(zip(map(str, blueprint.seeds), returns.mean(1).tolist(), strict=True)),
        "episodes": returns.tolist(),
        "video": None if video is None else str(video),
    }


def digest(path: Path) -> dict[str, Any]:
    """The hash of the whole state in the newest good checkpoint of a run."""
    runs.read_facts(path)
    checkpoints = Checkpoints(path)
    snapshot = checkpoints.load()
    assert snapshot.path is not None
    return {"checkpoint": str(snapshot.path), "digest": state_digest(checkpoints, snapshot)}


def sync(path: Path) -> UploadReport:
    """Send what a run's journal holds and its tracking store has not got."""
    runs.read_facts(path)
    try:
        return send_pending(path)
    except ValueError as error:
        raise StoreRefused(str(error)) from None


def _check_store(blueprint: Blueprint, directory: Path) -> None:
    """Refuse a tracking store before anything is written or computed."""
    try:
        blueprint.tracking.destination(directory)
    except ValueError as error:
        raise StoreRefused(str(error)) from None


def _drive(
    run: runs.Run, session: Session, notes: Sequence[str], quiet: bool, profile: profiling.Profile | None = None
) -> Result:
    total = run.blueprint.training.env_steps
    status: RunStatus = "FAILED"
    try:
        with Console(total, not quiet, start_env_step=session.clock.env_steps) as console:
            for line in (f"run {run.path}", f"the update is {_how(run)}", *_elsewhere(run), *notes):
                console.note(line)
            assemble.start_uploading(session, run)
            outcome = train(session, console)
            if profile is not None:
                spent = profile.table()
                (run.path / "profile.json").write_text(json.dumps(spent, indent=1) + "\n")
                console.note(profiling.text(spent))
        session.close()
        status = "FINISHED"
    except Interrupted as interrupted:
        status = "KILLED"
        message = f"interrupted ({interrupted}) and saved at environment step {session.clock.env_steps:,}"
        raise Stopped(_go_on(message, run), interrupted.exit_code, _table(run, "interrupted")) from None
    except tuple(EXIT_CODES) as error:
        message = str(error) or type(error).__name__
        raise Stopped(_go_on(message, run), exit_code(error), _table(run, "failed")) from error
    finally:
        with suppress(OSError):  # Where the disk is full, the journal cannot be written; that has been reported.
            session.close()
        report = session.uploader.finish(status, UPLOAD_SECONDS if status == "FINISHED" else INTERRUPTED_UPLOAD_SECONDS)
        run.close()
    curves = [f"curves: composer ui{_runs_option(run.path.parent)}"] if report.mlflow_run_id else []
    table = _table(run, "finished", outcome, report) | {"notes": [report.message, *curves]}
    metrics = read_metrics(run.path / JOURNAL, run.blueprint.seeds)
    return Result(run.path, run.blueprint, table["final_return"], np.array(outcome.returns), metrics, table)


def exit_code(error: BaseException) -> int:
    """The documented code of an expected error; 1 of any other."""
    return next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1)


def _how(run: runs.Run) -> str:
    return f"{'compiled' if run.facts['compiled'] else 'eager'}: {run.facts['compile_reason']}"


def _elsewhere(run: runs.Run) -> list[str]:
    """A line on where the replay lies, if that is not where updates run."""
    place = run.facts.get("replay_storage", "device")
    return [] if place == "device" else [f"the replay lies on the {place}: {run.facts['replay_reason']}"]


def _runs_option(directory: Path) -> str:
    return "" if directory == Path("runs") else f" --runs {directory}"


def _go_on(message: str, run: runs.Run) -> str:
    return f"{message}\ngo on with: composer resume {run.path}{' --inexact' if 'beside' in run.facts else ''}"


def _table(
    run: runs.Run, status: str, outcome: Outcome | None = None, report: UploadReport | None = None
) -> dict[str, Any]:
    table: dict[str, Any] = {
        "run": str(run.path),
        "run_id": run.facts["run_id"],
        "mlflow_run_id": None if report is None else report.mlflow_run_id,
        "status": status,
    }
    if outcome is None:
        return table
    means = [statistics.fmean(row) for row in outcome.returns]
    return table | {
        "env_steps": outcome.env_steps,
        "updates": outcome.updates,
        "final_return": statistics.fmean(means),
        "returns": dict(zip(map(str, run.blueprint.seeds), means, strict=True)),
        "seconds": round(outcome.seconds, 3),
        "updates_per_second": round(outcome.updates_per_second, 2),
    }
