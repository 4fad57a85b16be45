"""Training to the end, and the commands on runs: resume, fork, evaluate, digest, sync.

``composer.training.assemble`` makes what is trained; ``composer.training.endings`` says how it can end.
Tests: tests/faults/test_ends.py, tests/cli/test_commands.py.
"""

from __future__ import annotations

import json
import shlex
import statistics
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from composer.blueprint import load
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentFailure
from composer.spec import stages
from composer.spec.interval import mean_text, value_text
from composer.spec.quantities import counted
from composer.spec.run_files import write_text
from composer.tracking.console import Console
from composer.tracking.uploader import UploadReport
from composer.tracking.uploader import sync as send_pending
from composer.training import assemble, profiling, start_lines
from composer.training.endings import OpenRun, Stopped, closing
from composer.training.films.filming import film_finished
from composer.training.loop import Outcome, train
from composer.training.population.together import Together
from composer.training.runs import directory as runs
from composer.training.runs.checkpoint import Checkpoints, Snapshot
from composer.training.runs.results import Result
from composer.training.runs.shared_program import read_program
from composer.training.runs.state_digest import digest as state_digest
from composer.training.session import Session
from composer.training.surgery.unfired import NEVER_FIRED, unfired

FRESH_EPISODES = 2**62
"""Number of an evaluation that no training run reaches: none of its episodes has been seen before."""


def train_to_end(
    run: runs.Run, session: Session, notes: Sequence[str] = (), *, quiet: bool, profiled: bool = False
) -> Result:
    """Train one run to its end and close it; raises Stopped.

    ``notes`` are shown first. ``profiled`` shows at the end where the time went, and writes it to ``profile.json``.
    """
    ready = stages.finished()
    profile = profiling.Profile(session.learner.device) if profiled else None
    console = Console(session.training.env_steps, not quiet, start_env_step=session.clock.env_steps)
    console.left = session.time_left.seconds
    opened = OpenRun(run, session, during=console.during)
    with console, closing([opened]):
        compilation = (f"the update is {start_lines.compilation_text(run)}", *start_lines.cache_lines(run, session))
        lines = (*start_lines.warning_lines(run), f"run {run.path}", *compilation, *start_lines.placement_lines(run))
        for line in filter(None, (*lines, *notes, ready, *start_lines.warmup_lines(session, console))):
            console.note(line)
        session.say = console.note
        session.uploader = session.upload()
        _say_withheld([session], console)
        with profile.active() if profile else nullcontext():
            outcome = train(session, console)
        if profile is not None:
            spent = profile.table()
            write_text(run.path / "profile.json", json.dumps(spent, indent=1) + "\n")
            console.note(profiling.text(spent))
        _tell_result(console, session, outcome)
        opened.end = outcome
        film_finished([opened])
    table, ending = _table(opened), opened.ending()
    if isinstance(opened.end, BaseException):
        raise Stopped(ending.message, ending.exit_code, table) from opened.end
    assert opened.report is not None
    page = f"composer ui{_runs_option(run.path.parent)}" if opened.report.mlflow_run_id else opened.report.opening
    curves = [f"curves: {page}"] if page else []
    table["notes"] = [opened.report.message, *curves, *unmade_updates(session), *opened.notes]
    return Result(run.path, table["final_return"], np.array(outcome.returns), table)


def train_together_to_end(together: Together, notes: Sequence[str] = (), *, quiet: bool) -> dict[str, Any]:
    """Train runs side by side in one program and close them; the results of each as a row.

    One that diverges, or whose environment fails, does not stop the others. ``notes`` are shown first. Raises Stopped
    where all end early alike.
    """
    opened, ready = together.runs, stages.finished()
    starts = min(each.session.clock.env_steps for each in opened)
    console = Console(opened[0].session.training.env_steps, not quiet, start_env_step=starts)
    with console, closing(opened):
        for each in opened:
            each.during = console.during
            for line in (*start_lines.warning_lines(each.run), f"run {each.run.path}"):
                console.note(f"{each.session.title}: {line}")
            each.session.uploader = each.session.upload()
            each.session.say = console.note
        _say_withheld([each.session for each in opened], console)
        first, session = opened[0].run, opened[0].session
        compilation = (
            f"one update of all of them is {start_lines.compilation_text(first)}",
            *start_lines.cache_lines(first, session),
        )
        warmup = start_lines.warmup_lines(session, console)
        for line in (*compilation, *start_lines.placement_lines(first), *notes, *filter(None, [ready]), *warmup):
            console.note(line)
        together.train(console)
        for each in opened:
            if isinstance(each.end, Outcome):
                _tell_result(console, each.session, each.end)
        film_finished(opened)
    rows = [_row(each) for each in opened]
    table = {"runs": rows, "failed": sum(bool(row["exit_code"]) for row in rows)}
    codes = {row["exit_code"] for row in rows}
    if len(codes) == 1 and codes != {0}:
        raise Stopped("\n".join(dict.fromkeys(row["message"] for row in rows)), codes.pop(), table)
    return table


def _row(opened: OpenRun) -> dict[str, Any]:
    """The results of one of several runs."""
    ending = opened.ending()
    row = {
        "variant": opened.session.title,
        "run": str(opened.run.path),
        "status": ending.status,
        "exit_code": ending.exit_code,
    }
    return row | (_table(opened) if isinstance(opened.end, Outcome) else {"message": ending.message})


def resume(path: Path, inexact: bool, quiet: bool) -> Result:
    """Go on, by itself, from a run's newest good checkpoint; raises Stopped and what ``assemble.resume`` raises."""
    run, session, notes = assemble.resume(path, inexact)
    return train_to_end(run, session, notes, quiet=quiet)


def continued(path: Path, inexact: bool) -> dict[str, Any]:
    """What ``composer resume --json`` prints: a run that shares a program goes on with all others of it, in rows.

    ``inexact`` continues it by itself. Raises Stopped and what ``assemble.resume`` raises.
    """
    if inexact or read_program(runs.read_facts(path)) is None:
        return dict(resume(path, inexact, quiet=False).table)
    together, notes = assemble.resume_together(path)
    return train_together_to_end(together, notes, quiet=False)


def fork(path: Path, overrides: Sequence[str], at: int | None, branch: int, directory: Path, quiet: bool) -> Result:
    """Go on from a checkpoint of a run under a changed blueprint, in a new run directory under ``directory``.

    Raises BlueprintError for overrides that make no valid blueprint, NotForkable for those that a fork cannot take,
    and Stopped.
    """
    runs.read_settings(path)
    blueprint = load(path / "blueprint.toml", overrides).blueprint
    run, session, notes = assemble.fork(path, blueprint, at, branch, directory)
    return train_to_end(run, session, notes, quiet=quiet)


def evaluate(path: Path, episodes: int, video: Path | None) -> dict[str, Any]:
    """Play ``episodes`` fresh episodes per seed with the newest good checkpoint; ``video`` records the first one.

    Returns the table of ``--json``. Raises RunUnusable, CheckpointDamaged, EnvironmentFailure,
    RenderingUnavailable and VideoUnwritable.
    """
    from composer.training.video import FRAMES_PER_SECOND, VideoRecorder

    blueprint, learner, snapshot = assemble.load_agent(path)
    if video is not None:
        blueprint = blueprint.model_copy(update={"environment": blueprint.environment.for_video()})
    evaluator = assemble.make_evaluator(blueprint, episodes, learner.device)
    notes: list[str] = []
    try:
        if video is None:
            returns = evaluator.returns(learner, FRESH_EPISODES)
        elif evaluator.can_record_video:
            with VideoRecorder(video, FRAMES_PER_SECOND) as recorder:
                returns = evaluator.returns(learner, FRESH_EPISODES, recorder.take)
        else:
            raise runs.RunUnusable(f"{path}: there is no video of labelled data")
    finally:
        try:
            evaluator.close()
        except EnvironmentFailure as failure:
            notes.append(str(failure))
    env_steps, means = snapshot.values["interactions"] * blueprint.environment.stride, returns.mean(1).tolist()
    return {
        "run": str(path),
        "env_steps": env_steps,
        "metric": blueprint.environment.metric,
        "return": float(returns.mean()),
        "returns": dict(zip(map(str, blueprint.seeds), means, strict=True)),
        "episodes": returns.tolist(),
        **_checkpoint_used(snapshot),
        "video": None if video is None else str(video),
        "lines": [*_evaluation_lines(blueprint.environment, blueprint.seeds, means, episodes, env_steps)],
        "notes": notes,
    }


def _evaluation_lines(
    environment: Environment, seeds: Sequence[int], means: Sequence[float], episodes: int, env_steps: int
) -> Iterator[str]:
    """The scores of each seed, and their mean, for people."""
    metric, over = environment.evaluation_metric(), f" over {counted(episodes, 'episode')}"
    for seed, mean in zip(seeds, means, strict=True):
        shown = value_text(mean, metric.unit)
        yield f"seed {seed}: {metric.word} {shown}{over if environment.is_simulator else ''}"
    text = mean_text(means, (metric.low, metric.high), metric.unit)
    yield f"mean {metric.word} {text} at environment step {env_steps:,}"


def digest(path: Path) -> dict[str, Any]:
    """The hash of the whole state in the newest good checkpoint. Raises RunUnusable and CheckpointDamaged."""
    checkpoints = Checkpoints(path, facts=runs.read_facts(path))
    snapshot = checkpoints.load()
    with assemble.restoring(snapshot):
        return {"digest": state_digest(checkpoints, snapshot), **_checkpoint_used(snapshot)}


def _checkpoint_used(snapshot: Snapshot) -> dict[str, Any]:
    """The checkpoint that was read, and newer ones that are damaged, with the reason of each."""
    return {"checkpoint": str(snapshot.path), "damaged": snapshot.skipped}


def sync(path: Path, to: str | None = None) -> UploadReport:
    """Send the rows of a run's journal that its tracking store, or that of kind ``to``, lacks; raises StoreRefused."""
    runs.read_facts(path)
    return send_pending(path, to)


def _tell_result(console: Console, session: Session, outcome: Outcome) -> None:
    means = {seed: statistics.fmean(row) for seed, row in zip(session.seeds, outcome.returns, strict=True)}
    console.result(means, session.title, session.metric, session.best, outcome.seconds)


def unmade_updates(session: Session) -> list[str]:
    """A sentence, where the run ended in the middle of an assessment."""
    assessment, due = session.collector.assessment, session.clock.updates + session.clock.held
    if assessment is None or not bool((assessment.done < due).any()):
        return []
    left = ", ".join(
        f"{due - done:,} of seed {seed}" for seed, done in zip(session.seeds, assessment.done.tolist(), strict=True)
    )
    return [f"the run ended while policies were assessed, and updates that were due were never made: {left}"]


def _say_withheld(sessions: Sequence[Session], console: Console) -> None:
    """Say, once, which credentials are not sent to the store."""
    for note in dict.fromkeys(each.uploader.note for each in sessions if each.uploader is not None):
        if note is not None:
            console.note(note)


def _runs_option(directory: Path) -> str:
    return "" if directory == Path("runs") else f" --runs {shlex.quote(str(directory))}"


def _table(opened: OpenRun) -> dict[str, Any]:
    """What ``--json`` prints of a run that has ended."""
    run, outcome, report = opened.run, opened.end, opened.report
    finished = isinstance(outcome, Outcome)
    table: dict[str, Any] = {
        "run": str(run.path),
        "run_id": run.facts["run_id"],
        "mlflow_run_id": report.mlflow_run_id if finished and report is not None else None,
        "status": opened.ending().status,
        "warnings": run.facts.get("warnings", []),
    }
    if opened.session.compile_problem is not None:
        table["compile_failed"] = opened.session.compile_problem
    if not isinstance(outcome, Outcome):
        return table
    means = [statistics.fmean(row) for row in outcome.returns]
    return table | {
        "env_steps": outcome.env_steps,
        "updates": outcome.updates,
        "metric": opened.session.metric.name,
        "final_return": statistics.fmean(means),
        "returns": dict(zip(map(str, opened.session.seeds), means, strict=True)),
        "seconds": round(outcome.seconds, 3),
        "updates_per_second": round(outcome.updates_per_second, 2),
        NEVER_FIRED: unfired(opened.session),
    }
