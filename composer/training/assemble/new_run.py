"""A new run: its directory, and the session that trains it. Tests: tests/training/test_loop.py, tests/faults."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.blueprint import digest as blueprint_digest
from composer.blueprint import dump
from composer.blueprint.checks.check import warnings_in
from composer.blueprint.forecast.memory import allocated
from composer.blueprint.inspect.agent_name import agent_name
from composer.blueprint.inspect.main_settings import main_settings
from composer.blueprint.inspect.note import RunPlace, note
from composer.tracking.journal import Journal
from composer.tracking.project import admitted
from composer.tracking.records import JOURNAL, TIMING
from composer.training.assemble.make_session import make_session, undo_on_error
from composer.training.assemble.process import choose_compilation, set_up_process
from composer.training.collect.replay_placement import ReplayPlacement, choose_placement, recorded_placement
from composer.training.compile.capture import Choice, eager_after
from composer.training.runs import directory as runs
from composer.training.runs import provenance, repository
from composer.training.runs.labels import UNLABELLED, Labels
from composer.training.runs.membership import study_facts
from composer.training.runs.shared_program import SharedProgram, program_provenance
from composer.training.waiting_threads import how_threads_wait

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.training.session import Session


class Shared(NamedTuple):
    """What a new run shares with others."""

    run_id: str
    program: SharedProgram
    beside: Sequence[str]
    """The names of the others, for people."""


def start(
    blueprint: Blueprint, directory: Path, variant: str | None, labels: Labels = UNLABELLED
) -> tuple[runs.Run, Session]:
    """A new run under ``directory``: its folder is written, no environment has been stepped.

    Raises StoreRefused and Unavailable, before anything is written, and RunUnusable where nothing can be.
    """
    admitted(blueprint.tracking, directory)
    device = set_up_process(blueprint)
    choice = choose_compilation(blueprint, device)
    run, session = create(blueprint, directory, variant, device, choice, labels=labels)
    with undo_on_error(session.close, run.close):
        session.collector.begin()
    return run, session


def create(
    blueprint: Blueprint,
    directory: Path,
    variant: str | None,
    device: str,
    choice: Choice,
    fork: Mapping[str, Any] | None = None,
    shared: Shared | None = None,
    placement: ReplayPlacement | None = None,
    agent: str | None = None,
    labels: Labels = UNLABELLED,
) -> tuple[runs.Run, Session]:
    """A new run directory and the session of its run, neither begun nor restored.

    ``fork`` describes the checkpoint that the run continues; it is part of the provenance hash. ``shared`` is the
    program that it trains in with others, ``placement`` where the replay is kept, if that is known, ``agent`` a name
    that does not follow from how the blueprint was written; ``labels`` are what the user calls it.
    """
    placement = placement or choose_placement(blueprint.replay.storage, allocated(blueprint), device, directory)
    fingerprint = provenance.fingerprint(device, blueprint.environment, blueprint.requires, choice.compiled)
    origin, file = ({}, blueprint.derived.get("file")) if fork is None else ({"fork": fork}, None)
    key = blueprint_digest(blueprint)
    facts: dict[str, Any] = {
        **_named(blueprint, variant, shared, agent, labels),
        **repository.facts(file),  # A fork's file is in its origin's run directory, not in the user's repository.
        "fingerprint": fingerprint,
        **_computed(device, choice, placement),
        "warnings": [warning.as_dict() for warning in warnings_in(blueprint)],
        **({} if shared is None else {"beside": list(shared.beside)} | shared.program.facts()),
        **origin,
        **study_facts(key),
    }
    facts["hash"] = provenance.provenance_hash(key, decisive(facts))
    facts["note"] = _note(blueprint, directory, facts, fork)
    run = runs.create(directory, dump(blueprint), facts, _parameter_table(blueprint))
    with undo_on_error(run.close):
        journals = Journal(run.path / JOURNAL), Journal(run.path / TIMING, time.time)
        session = make_session(blueprint, run, device, choice, *journals)
        session.learner.compile_failed = partial(go_on_eagerly, session, run, blueprint)
        return run, session


def _note(blueprint: Blueprint, directory: Path, facts: Mapping[str, Any], fork: Mapping[str, Any] | None) -> str:
    versions = provenance.library_versions(facts["fingerprint"])
    return note(blueprint, RunPlace(facts["agent"], directory / facts["run_id"], versions, fork))


def decisive(facts: Mapping[str, Any]) -> dict[str, Any]:
    """All that enters the provenance hash of a run beside its settings, from its ``run.json``. Raises RunUnusable."""
    origin = {"fork": facts["fork"]} if "fork" in facts else {}
    placement = recorded_placement(facts).provenance(facts["device"])
    switches = {key: facts[key] for key in ("compiled_in_background",) if key in facts}
    return {**facts["fingerprint"], **origin, **placement, **program_provenance(facts), **switches}


def _computed(device: str, choice: Choice, placement: ReplayPlacement) -> dict[str, Any]:
    updates = {"compiled": choice.compiled, "compile_reason": choice.reason}
    updates |= {"compiled_in_background": True} if choice.in_background else {}
    return {"device": device, **updates, "waiting_threads": how_threads_wait(), **placement.facts()}


def _named(
    blueprint: Blueprint, variant: str | None, shared: Shared | None, agent: str | None, labels: Labels
) -> dict[str, Any]:
    run_id = labels.run_id(blueprint.name, variant) if shared is None else shared.run_id
    called = agent or agent_name(blueprint, variant)
    return {
        "run_id": run_id,
        "agent": called,
        "settings": main_settings(blueprint),
        **labels.facts(),
        "name": blueprint.name,
        "variant": variant,
        "task": blueprint.environment.title,
        "algorithm": blueprint.algorithm.kind,
        "seeds": list(blueprint.seeds),
    }


def go_on_eagerly(session: Session, run: runs.Run, blueprint: Blueprint, problem: str) -> None:
    """Note that the updates of a new run are eager, because compiling them fails, in its ``run.json`` too."""
    session.note_compile_failure(problem)
    facts = run.facts
    # A checkpoint holds a copy of run.json, as it was when the run began.
    if facts["compiled"] and not session.checkpoints.steps():
        fingerprint = {name: value for name, value in facts["fingerprint"].items() if name != "products"}
        found = provenance.provenance_hash(blueprint_digest(blueprint), decisive(facts | {"fingerprint": fingerprint}))
        run.revise(compiled=False, compile_reason=eager_after(problem).reason, fingerprint=fingerprint, hash=found)


def _parameter_table(blueprint: Blueprint) -> dict[str, Any]:
    """Every parameter by network: shape and initialiser of one copy, and the number of copies."""
    table: dict[str, Any] = {}
    for role, outline in blueprint.agent.sound_outlines.items():
        copies = blueprint.networks[role].copies
        table[role] = {
            "copies": copies,
            "count": outline.count() * copies,
            "parameters": {
                path: {"shape": list(plan.shape), "initializer": plan.initializer.kind, "trainable": plan.trainable}
                for path, plan in outline.named_parameters()
            },
        }
    return table
