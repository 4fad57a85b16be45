"""The checkpoint that a fork continues, read without a lock and without touching its run.

Tests: tests/training/test_fork.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from composer.blueprint import Blueprint
from composer.blueprint.checks.forkable import ForkPoint
from composer.blueprint.load import ensure_checked
from composer.training.assemble.restoring import restoring
from composer.training.fork import NotForkable
from composer.training.runs import directory as runs
from composer.training.runs.checkpoint import Checkpoints, Snapshot
from composer.training.runs.state_digest import digest as state_digest


@dataclass(frozen=True)
class Origin:
    """A checkpoint, and the run that it belongs to."""

    facts: Mapping[str, Any]
    """The content of ``run.json``."""
    blueprint: Blueprint
    checkpoints: Checkpoints
    snapshot: Snapshot

    @property
    def interactions(self) -> int:
        """Interactions done."""
        return int(self.snapshot.values["interactions"])

    @property
    def step(self) -> int:
        """Environment steps done."""
        return self.interactions * self.blueprint.environment.stride

    def point(self) -> ForkPoint:
        """What a blueprint has to fit to continue it."""
        values, tensors = self.snapshot.values, self.snapshot.tensors
        before = values.get("replay_rows_before", 0)
        return ForkPoint(
            interactions=self.interactions,
            device=str(self.facts["device"]),
            replay_start=values.get("replay_start", 0) - before,
            replay_added=values.get("replay_added", 0) - before,
            fired=frozenset(
                name for name in self.blueprint.interventions if tensors[f"interventions/{name}/fired"].any()
            ),
        )

    @cached_property
    def digest(self) -> str:
        """The hash of its whole state, replay rows included."""
        return state_digest(self.checkpoints, self.snapshot)


def read_origin(path: Path, at: int | None) -> Origin:
    """The newest good checkpoint of a run, or that of environment step ``at``.

    Raises RunUnusable, RunEdited, CheckpointDamaged, and NotForkable where none was kept of that step.
    """
    facts, blueprint = runs.read_facts(path), ensure_checked(runs.read_blueprint(path), is_to_run=False)
    checkpoints = Checkpoints(path, facts=facts)
    steps = checkpoints.steps()
    if at is not None and at not in steps:
        meant = f"; the nearest is --at {min(steps, key=lambda step: abs(step - at))}" if steps else ""
        kept = f"checkpoint.every = {blueprint.checkpoint.every}, checkpoint.keep = {blueprint.checkpoint.keep}"
        raise NotForkable(
            f"{path} has no checkpoint of environment step {at:,}; {checkpoints.listed()}{meant}"
            f" (its blueprint decides which are written, and how many of the newest stay: {kept})"
        )
    snapshot = checkpoints.load(at)
    with restoring(snapshot, "interactions"):
        return Origin(facts, blueprint, checkpoints, snapshot)
