"""Try a blueprint out: everything is built, one update, one evaluation and one checkpoint are made, nothing is kept.

Tests: tests/training/test_dry_run.py.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from composer.spec.quantities import counted
from composer.spec.stages import stage
from composer.tracking.base import NoTracker
from composer.training.assemble.new_run import start
from composer.training.loop import training_steps

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.training.session import Session

WARMUP: Final = 64
"""Interactions with random actions before the update, at the most."""


def dry_run(blueprint: Blueprint, say: Callable[[str], None]) -> dict[str, Any]:
    """The table of ``--json``: what was done, and how long each took. Raises what a run raises.

    The warm-up is cut to ``WARMUP`` interactions, and nothing goes to the tracking store.
    """
    steps: list[dict[str, Any]] = []

    @contextmanager
    def step(name: str) -> Iterator[None]:
        began = time.perf_counter()
        if steps:
            stage(name)  # Building has stages of its own.
        yield
        seconds = time.perf_counter() - began
        steps.append({"step": name, "seconds": round(seconds, 3)})
        say(f"{name}: done in {seconds:.1f} s")

    with tempfile.TemporaryDirectory(prefix="composer-dry-run-") as folder:
        with step("building networks and environments"):
            run, session = start(_short(blueprint), Path(folder), None)
        try:
            _try_out(session, step)
        finally:
            session.close()
            run.close()
    return {"status": "dry run", "steps": steps, "exit_code": 0}


def _try_out(session: Session, step: Callable[[str], Any]) -> None:
    clock, learner = session.clock, session.learner
    steps = training_steps(session)
    end = session.clock.interactions_by(session.training.env_steps)
    with step(f"interacting {counted(min(clock.warmup + clock.rollout, end), 'time')} at the most"):
        batches = next((each for each in steps if each), ())
    if batches:
        with step("compiling the update, and making one" if learner.choice.compiled else "making one update"):
            learner.learn(batches)
            learner.drain_signals()
    with step("evaluating once"):
        session.returns = session.evaluator.returns(learner, 0).tolist()
    if session.diagnostics.has_measures:
        with step("measuring diagnostics"):
            session.diagnostics.read(learner, session.collector.replay, clock, True)
    with step("writing a checkpoint, and reading it again"):
        session.save()
        session.checkpoints.load()


def _short(blueprint: Blueprint) -> Blueprint:
    algorithm = blueprint.algorithm
    warmup = algorithm.update_schedule(blueprint.environment.info).warmup_interactions
    if warmup > WARMUP:
        algorithm = algorithm.model_copy(update={"warmup_interactions": WARMUP})
    return blueprint.model_copy(update={"algorithm": algorithm, "tracking": NoTracker()})
