"""The beginning of a fork: a new run directory that holds the checkpoint it goes on from as its first.

Tests: tests/training/test_fork.py.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.blueprint import diff
from composer.spec.random_streams import derive
from composer.training import assemble
from composer.training.collect.replay_placement import ReplayPlacement, recorded_placement
from composer.training.compile import capture as compiling
from composer.training.fork.carry_state import Carried, carried
from composer.training.fork.compatibility import problems
from composer.training.fork.errors import NotForkable
from composer.training.fork.origin import Origin, read_origin

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.training.runs.directory import Run
    from composer.training.session import Session


SHOWN = 6
"""Names of state that are told to people; the journal has them all."""


def fork(
    path: Path, blueprint: Blueprint, at: int | None, branch: int, directory: Path
) -> tuple[Run, Session, list[str]]:
    """A checkpoint of the run at ``path``, going on under ``blueprint`` in a new run directory under ``directory``.

    Everything that both have goes on exactly: random streams, episodes, replay, optimizers, statistics, clocks. A
    ``branch`` other than 0 draws what follows (batches, exploration, later tasks) from streams of its own, the same in
    every fork of that branch. Returns run, parts and what to tell; raises NotForkable, RunUnusable, CheckpointDamaged.
    """
    origin = read_origin(path, at)
    blueprint = branched(blueprint, branch)
    device = assemble.set_up(blueprint, _device(origin, blueprint))
    if found := problems(origin, blueprint, device):
        raise NotForkable("\n".join(found))
    old = assemble.learner_of(origin.blueprint, origin.snapshot, device)
    facts = parting(origin, blueprint, branch)
    choice = _choice(origin, blueprint, device)
    stored = _place(origin, blueprint, device)
    run, session = assemble.create(blueprint, directory, origin.facts["variant"], device, choice, facts, stored=stored)
    try:
        session.checkpoints.adopt(origin.checkpoints, origin.snapshot)
        state = carried(origin, old, blueprint, session)
        session.restore(state.snapshot)
        if branch:
            _reseed(session, branch, origin.step)
        session.record("event", seed=None, **_event(facts, state))
        session.save()
    except BaseException:
        session.close()
        run.close()
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    return run, session, list(_notes(path, origin, blueprint, device, state))


def branched(blueprint: Blueprint, branch: int) -> Blueprint:
    """``blueprint`` of a branch: which labelled data come is declared, and no stream that could be reseeded."""
    return blueprint.model_copy(update={"environment": blueprint.environment.branched(branch)}) if branch else blueprint


def _reseed(session: Session, branch: int, step: int) -> None:
    for name, generator in session.learner.generators().items():
        stream, seed = name.split("/")
        generator.manual_seed(derive(int(seed), stream, "branch", branch, step))


def _device(origin: Origin, blueprint: Blueprint) -> str:
    """That of the run, unless another is asked for."""
    asked = blueprint.compute.device
    return asked if asked not in ("auto", origin.blueprint.compute.device) else str(origin.facts["device"])


def _choice(origin: Origin, blueprint: Blueprint, device: str) -> compiling.Choice:
    """As the run computes, unless ``compute.compile`` is another."""
    if blueprint.compute.compile != origin.blueprint.compute.compile:
        return assemble.choose(blueprint, device)
    return compiling.Choice(bool(origin.facts["compiled"]), str(origin.facts["compile_reason"]))


def _place(origin: Origin, blueprint: Blueprint, device: str) -> ReplayPlacement | None:
    """Where the run's replay lies, so that batches are drawn by the same random numbers; None where that may change."""
    same = blueprint.replay == origin.blueprint.replay and device == origin.facts["device"]
    return recorded_placement(origin.facts) if same else None


def parting(origin: Origin, blueprint: Blueprint, branch: int) -> dict[str, Any]:
    """From where a fork under ``blueprint`` (of its branch) goes on, and what it changes: as ``run.json`` says it."""
    return {
        "from": origin.facts["run_id"],
        "env_step": origin.step,
        "digest": origin.digest,
        "branch": branch,
        "changes": {found.key: found.right for found in diff(origin.blueprint, blueprint)},
    }


def _event(facts: dict[str, Any], state: Carried) -> dict[str, Any]:
    changed = {"changes": list(facts["changes"]), "fresh": list(state.fresh), "dropped": list(state.dropped)}
    return {"name": "fork", **{key: value for key, value in facts.items() if key != "env_step"}, **changed}


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
    then, now = (each.algorithm.update_schedule(each.environment.info) for each in (origin.blueprint, blueprint))
    if (then.update_to_data, then.warmup_interactions) != (now.update_to_data, now.warmup_interactions):
        yield "the clock of updates counts as though they had always kept the present pace with data"
    changed = assemble.differences(origin.facts, blueprint, device)
    yield from (f"not as it was: {line}" for line in changed)
