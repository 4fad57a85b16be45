"""A fork: a new run directory whose first checkpoint is the one that it continues.

Tests: tests/training/test_fork.py.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.blueprint import diff
from composer.blueprint.checks.forkable import fork_problems
from composer.blueprint.inspect.agent_name import fork_name, plain_name
from composer.spec.quantities import counted
from composer.spec.random_streams import derive
from composer.tracking.project import admitted
from composer.training.assemble.make_session import restored_learner, undo_on_error
from composer.training.assemble.new_run import create
from composer.training.assemble.origin import Origin, read_origin
from composer.training.assemble.process import choose_compilation, set_up_process
from composer.training.assemble.restoring import restoring
from composer.training.assemble.resumed_run import recorded_choice
from composer.training.collect.replay_placement import ReplayPlacement, recorded_placement
from composer.training.compile.capture import Choice
from composer.training.fork import NotForkable
from composer.training.fork.carry_state import Carried, Declared, carried
from composer.training.runs.provenance import differences

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.training.runs.directory import Run
    from composer.training.session import Session


SHOWN = 6
"""Names of state in a note for people; the journal has them all."""


def fork(
    path: Path, blueprint: Blueprint, at: int | None, branch: int, directory: Path
) -> tuple[Run, Session, list[str]]:
    """A checkpoint of the run at ``path``, continued under ``blueprint`` in a new run directory under ``directory``.

    Everything that both have continues exactly: random streams, episodes, replay, optimizers, statistics, clocks. A
    ``branch`` other than 0 draws what follows (batches, exploration, later tasks) from streams of its own, the same in
    every fork of that branch. Returns run, session and notes; raises NotForkable, RunUnusable, CheckpointDamaged.
    """
    admitted(blueprint.tracking, directory)
    origin = read_origin(path, at)
    blueprint = branched(blueprint, branch)
    device = set_up_process(blueprint, _device(origin, blueprint))
    if found := fork_problems(origin.blueprint, blueprint, origin.point(), device):
        raise NotForkable("\n".join(found))
    with restoring(origin.snapshot):
        old = restored_learner(origin.blueprint, origin.snapshot, device)
    facts = fork_facts(origin, blueprint, branch)
    choice, placement = _choice(origin, blueprint, device), _placement(origin, blueprint, device)
    variant = origin.facts["variant"]
    before = origin.facts.get("agent", plain_name(origin.facts["name"], variant))
    agent = fork_name(before, origin.step, blueprint)
    run, session = create(blueprint, directory, variant, device, choice, facts, placement=placement, agent=agent)
    with undo_on_error(session.close, run.close, lambda: shutil.rmtree(run.path, ignore_errors=True)):
        session.checkpoints.adopt(origin.checkpoints, origin.snapshot)
        with restoring(origin.snapshot):
            state = carried(origin.snapshot, old, _declared(origin.blueprint), session, _declared(blueprint))
            session.collector.may_restart = True
            session.restore(state.snapshot)
        if branch:
            _reseed(session, branch, origin.step)
        restarted = session.collector.restarted
        session.record("event", seed=None, **_event(facts, state), **({"restarted": restarted} if restarted else {}))
        session.save()
    notes = [f"new episodes are begun: {restarted}"] if restarted else []
    return run, session, [*_notes(path, origin, blueprint, device, state), *notes]


def branched(blueprint: Blueprint, branch: int) -> Blueprint:
    """``blueprint`` of a branch: labelled data follow from their declaration, not from a stream to reseed."""
    return blueprint.model_copy(update={"environment": blueprint.environment.branched(branch)}) if branch else blueprint


def fork_facts(origin: Origin, blueprint: Blueprint, branch: int) -> dict[str, Any]:
    """For ``run.json``: the checkpoint that a fork under ``blueprint`` (of its branch) continues, and what changes."""
    return {
        "from": origin.facts["run_id"],
        "env_step": origin.step,
        "digest": origin.digest,
        "branch": branch,
        "changes": {found.key: found.right for found in diff(origin.blueprint, blueprint)},
    }


def _reseed(session: Session, branch: int, step: int) -> None:
    for name, generator in session.learner.generators().items():
        stream, seed = name.split("/")
        generator.manual_seed(derive(int(seed), stream, "branch", branch, step))


def _device(origin: Origin, blueprint: Blueprint) -> str:
    """The device of the run, unless another one is requested."""
    requested = blueprint.compute.device
    return requested if requested not in ("auto", origin.blueprint.compute.device) else str(origin.facts["device"])


def _choice(origin: Origin, blueprint: Blueprint, device: str) -> Choice:
    """As the run computes, unless ``compute.compile`` or ``compute.reproducible`` changes."""
    then, now = origin.blueprint.compute, blueprint.compute
    if (then.compile, then.reproducible) != (now.compile, now.reproducible):
        return choose_compilation(blueprint, device)
    return recorded_choice(origin.facts, falls_back=now.compile != "always")


def _placement(origin: Origin, blueprint: Blueprint, device: str) -> ReplayPlacement | None:
    """That of the run's replay, so that the same random numbers draw batches; None where it may change."""
    same = blueprint.replay == origin.blueprint.replay and device == origin.facts["device"]
    return recorded_placement(origin.facts) if same else None


def _declared(blueprint: Blueprint) -> Declared:
    return Declared(blueprint.averages, blueprint.diagnostics, blueprint.interventions)


def _event(facts: dict[str, Any], state: Carried) -> dict[str, Any]:
    changed = {"changes": list(facts["changes"]), "fresh": list(state.fresh), "dropped": list(state.dropped)}
    return {"name": "fork", **{key: value for key, value in facts.items() if key != "env_step"}, **changed}


def _held_back(origin: Origin, blueprint: Blueprint) -> str:
    """The updates of the checkpoint that a fork without assessments does not make; empty where there are none."""
    done = origin.snapshot.tensors.get("assessment/done")
    if done is None or blueprint.algorithm.assessment is not None:
        return ""
    least = int(origin.snapshot.values.get("held", 0))
    most = least + int(done.max() - done.min())
    span = counted(most, "update") if least == most else f"{least:,} to {most:,} updates"
    return span if most else ""


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _notes(path: Path, origin: Origin, blueprint: Blueprint, device: str, state: Carried) -> Iterator[str]:
    yield f"forked from {path} at environment step {origin.step:,}"
    yield from (f"skipped a damaged checkpoint: {damage}" for damage in origin.snapshot.skipped)
    if state.fresh:
        yield f"fresh, for the checkpoint has none: {_few(state.fresh)}"
    if state.dropped:
        yield f"dropped, for the fork has none: {_few(state.dropped)}"
    if held := _held_back(origin, blueprint):
        yield f"algorithm.policy_checkpoints: {held} of a seed, held back while a policy was assessed, are not made"
    then, now = (each.algorithm.update_schedule(each.environment.info) for each in (origin.blueprint, blueprint))
    paces = {(each.update_to_data, each.warmup_interactions, each.untrained, each.first) for each in (then, now)}
    if len(paces) > 1:
        yield "the clock of updates counts as though they had always kept the present pace with data"
    yield from (
        f"not as it was: {line}"
        for line in differences(origin.facts, blueprint.environment, blueprint.requires, device)
    )
