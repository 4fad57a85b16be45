"""Resume a run from its newest good checkpoint. Tests: tests/faults/test_resume.py."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.blueprint.load import ensure_checked
from composer.spec.errors import ComposerError
from composer.spec.stages import stage
from composer.tracking.journal import Journal, read
from composer.tracking.project import admitted
from composer.tracking.records import JOURNAL, TIMING
from composer.training.assemble.make_session import make_session, restored_learner, undo_on_error
from composer.training.assemble.process import set_up_process
from composer.training.assemble.restoring import restoring
from composer.training.compile.capture import Choice
from composer.training.learner import Learner
from composer.training.runs import directory as runs
from composer.training.runs.best import best_evaluation
from composer.training.runs.checkpoint import CheckpointDamaged, Checkpoints, Snapshot
from composer.training.runs.chosen import Chosen, load_chosen
from composer.training.runs.provenance import differences

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.training.session import Session


class NotTheSame(ComposerError, RuntimeError):
    """A run cannot be resumed exactly here: its numbers depend on something that has changed. The message lists it."""

    exit_code = 2


def resume(path: Path, inexact: bool = False) -> tuple[runs.Run, Session, list[str]]:
    """A run as its newest good checkpoint left it, and notes for people.

    Raises RunUnusable, RunEdited, StoreRefused, BlueprintError, CheckpointDamaged (there are checkpoints, and none is
    good) and, unless ``inexact``, NotTheSame.
    """
    run = runs.open_run(path)
    with undo_on_error(run.close):
        blueprint = ensure_checked(runs.read_blueprint(path), is_to_run=False)
        device = set_up_process(blueprint, str(run.facts["device"]))
        alone = [_its_own(run.facts)] if "beside" in run.facts else []
        session, notes = restored(run, blueprint, device, recorded_choice(run.facts, inexact), inexact, alone)
    return run, session, notes


def recorded_choice(facts: Mapping[str, Any], falls_back: bool = False) -> Choice:
    """Whether a run that has begun compiles its updates: as it did then."""
    compiled, in_background = bool(facts["compiled"]), bool(facts.get("compiled_in_background"))
    return Choice(compiled, str(facts["compile_reason"]), falls_back=falls_back, in_background=in_background)


def load_agent(path: Path, at: Chosen = None, device: str | None = None) -> tuple[Blueprint, Learner, Snapshot]:
    """The agent of a run's newest good checkpoint, or of the chosen one, for reading only.

    Neither lock nor journal is touched. It is on the blueprint's device, unless another is given.
    """
    facts, blueprint = runs.read_facts(path), ensure_checked(runs.read_blueprint(path), is_to_run=False)
    device = set_up_process(blueprint, device)
    snapshot = load_chosen(Checkpoints(path, facts=facts), at, blueprint.environment.metric, blueprint.seeds)
    with restoring(snapshot, "interactions"):
        return blueprint, restored_learner(blueprint, snapshot, device), snapshot


def restored(
    run: runs.Run,
    blueprint: Blueprint,
    device: str,
    choice: Choice,
    inexact: bool = False,
    changed: Sequence[str] = (),
) -> tuple[Session, list[str]]:
    """The session of an open run as its newest good checkpoint left it, and notes for people.

    ``changed`` says what else is not as it was, beside versions, threads and device. Raises as ``resume`` does.
    """
    admitted(blueprint.tracking, run.path.parent)
    checkpoints = Checkpoints(run.path, blueprint.checkpoint.keep, run.facts)
    snapshot = checkpoints.load() if checkpoints.steps() else None
    if snapshot is None:
        _ensure_never_saved(run.path, blueprint, checkpoints)
    changed = [*changed, *differences(run.facts, blueprint.environment, blueprint.requires, device)]
    if changed and not inexact:
        raise NotTheSame(
            f"this run cannot be resumed exactly ({'; '.join(changed)}); --inexact continues it all the same"
        )
    notes = [*_last_words(run)]
    if snapshot is None and "fork" in run.facts:
        raise runs.RunUnusable(f"{run.path} is a fork without a checkpoint: where it began is not known; fork again")
    session = make_session(blueprint, run, device, choice, _journal(run.path, snapshot), _timing(run.path))
    session.checkpoints = checkpoints
    with undo_on_error(session.close):
        stage("restoring the checkpoint")
        notes += _continued(session, snapshot, inexact)
        if session.collector.restarted:
            changed.append(f"new episodes are begun: {session.collector.restarted}")
        if changed:
            session.record("event", seed=None, name="resumed_inexactly", reasons=changed)
        notes += [f"resumed inexactly: {line}" for line in changed]
    return session, notes


def _continued(session: Session, snapshot: Snapshot | None, inexact: bool) -> list[str]:
    """Bring a session to where its checkpoint was, or to the beginning; notes for people."""
    if snapshot is None:
        session.checkpoints.discard_after(-1)
        session.collector.begin()
        return ["no checkpoint had been written yet: starting from step 0"]
    session.collector.may_restart = inexact
    with restoring(snapshot):
        session.restore(snapshot)
    session.checkpoints.discard_after(session.clock.env_steps)
    session.best = best_evaluation(session.checkpoints.run, session.evaluator.metric, session.seeds)
    return [f"skipped a damaged checkpoint: {damage}" for damage in snapshot.skipped]


def _ensure_never_saved(path: Path, blueprint: Blueprint, checkpoints: Checkpoints) -> None:
    """Raise CheckpointDamaged where checkpoints are gone: starting from step 0 would cut the journal."""
    last = max((row.get("env_step", 0) for row in read(path / JOURNAL)), default=0)
    stride = blueprint.environment.stride
    first = -(-blueprint.checkpoint.every // stride) * stride
    if checkpoints.were_saved or last > first:
        raise CheckpointDamaged(
            f"{path} has no checkpoint any more, though one was saved: its journal goes up to environment step"
            f" {last:,}. Nothing was changed: put the folders checkpoints and replay back, or begin a new run:"
            f" composer train {path / 'blueprint.toml'}"
        )


def _its_own(facts: Mapping[str, Any]) -> str:
    return f"program: shared with {', '.join(facts['beside'])} then, its own now"


def _last_words(run: runs.Run) -> Iterator[str]:
    """A line where the process that trained the run before could say nothing at its end."""
    if run.died:
        last = max((row.get("env_step", 0) for row in read(run.path / JOURNAL)), default=0)
        yield (
            f"process {run.died}, which trained this run, ended without a word after environment step {last:,}: it was"
            " killed, ran out of memory, or was ended by its environment"
        )


def _journal(path: Path, snapshot: Snapshot | None) -> Journal:
    """Continue the journal from where the checkpoint left it, from its beginning where there is none."""
    journal = path / JOURNAL
    if snapshot is None:
        journal.touch()
        return Journal.resume(journal, 0)
    with restoring(snapshot):
        return Journal.resume(journal, int(snapshot.values["journal_offset"]))


def _timing(path: Path) -> Journal:
    """Continue the journal of wall-clock times after its last whole row; it is not part of the state."""
    timing = path / TIMING
    timing.touch()
    reader = read(timing)
    for _ in reader:
        pass
    return Journal.resume(timing, reader.offset, clock=time.time)
