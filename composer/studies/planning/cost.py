"""What the runs of a study declare: updates, arithmetic, memory, disk; and what of it is left to do.

Tests: tests/studies/planning/test_plan.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from composer.blueprint import Blueprint
from composer.blueprint.forecast.clock import clock_of
from composer.blueprint.forecast.flops import update_flops
from composer.blueprint.forecast.memory import FLOAT, allocated
from composer.blueprint.forecast.program_key import program_key
from composer.studies.execution.directories import RunDirectories, chosen
from composer.studies.execution.versions import Versions, versions_of
from composer.studies.study.points import StudyRun
from composer.training.assemble import device_for
from composer.training.compile.cache import is_warm
from composer.training.compile.capture import choose
from composer.training.runs.checkpoint import Checkpoints

PROCESS_BYTES = 500 * 2**20
"""Memory of a process with torch and an environment, before it has an agent: 430 to 520 MiB were measured."""
ROW_BYTES = 700
"""Bytes of a row of metrics in a journal, with its line of times: 450 to 900 were measured."""


@dataclass(frozen=True)
class Update:
    """How the update of a run, or of several in one program, would be computed here."""

    program: str
    """The key of its compiled program."""
    device: str
    compiles: bool
    in_background: bool
    is_cached: bool


def update_of(blueprint: Blueprint, is_shared: bool = False) -> Update:
    """Whether it is compiled, and whether that has been done before, of one run or of several that share a program.

    Raises Unavailable for a GPU that is not there.
    """
    device, mode = device_for(blueprint.compute.device), blueprint.compute.compile
    key, updates = program_key(blueprint, device), clock_of(blueprint).updates_by(blueprint.training.env_steps)
    choice = choose(mode, device, updates, blueprint.compute.reproducible or is_shared)
    compiles = mode == "measured" or choice.compiled or choice.in_background
    return Update(key, device, compiles, choice.in_background, is_warm(key))


@dataclass(frozen=True)
class RunCost:
    """What one run takes, all of its seeds together."""

    run: StudyRun
    update: Update
    updates: int
    """Calls of the update, each for all seeds."""
    interactions: int
    warmup: int
    """Interactions before the first update."""
    evaluations: int
    flops: int
    """Floating-point operations of all updates."""
    memory: int
    """Bytes of its process at the most."""
    disk: int
    """Bytes of its run directory at the most."""
    left: float
    """The share of it that is not done yet: 0 of one that is finished."""


def costs(runs: Sequence[StudyRun], runs_dir: Path) -> list[RunCost]:
    """The cost of each run; what the directories below ``runs_dir`` hold already is not left to do."""
    directories = RunDirectories(runs_dir)
    directories.refresh()
    versions = versions_of(runs, is_to_run=False)
    return [_cost(run, _left(directories, run, versions[run.key])) for run in runs]


def _left(directories: RunDirectories, run: StudyRun, versions: Versions) -> float:
    steps = run.blueprint.training.env_steps
    found = chosen(directories.find(run.key, steps, versions))
    if found is None:
        return 1.0
    if found.state in ("finished", "diverged"):
        return 0.0
    return 1 - min(max(Checkpoints(found.path).steps(), default=0) / steps, 1.0)


def _cost(run: StudyRun, left: float) -> RunCost:
    declared = run.blueprint
    clock, steps = clock_of(declared), declared.training.env_steps
    updates, interactions = clock.updates_by(steps), clock.interactions_by(steps)
    memory = allocated(declared)
    first = clock.env_step_of(1, steps)
    return RunCost(
        run=run,
        update=update_of(declared),
        updates=updates,
        interactions=interactions,
        warmup=interactions if first is None else first // clock.stride,
        evaluations=ceil(steps / declared.evaluation.every),
        flops=update_flops(declared) * updates,
        memory=PROCESS_BYTES + memory.total,
        disk=_disk(declared),
        left=left,
    )


def _disk(declared: Blueprint) -> int:
    """Checkpoints and best agents (one more while it is written), the replay that they share, and the journals."""
    memory, steps = allocated(declared), declared.training.env_steps
    state = sum(held.total - held.gradients for held in memory.networks.values()) + memory.algorithm
    replay = memory.transitions * (memory.in_memory + memory.movable)
    agent = sum(held.total - held.gradients - held.optimizer for held in memory.networks.values())
    kept = min(declared.checkpoint.keep, ceil(steps / declared.checkpoint.every)) + 1
    best = min(kept, ceil(steps / declared.evaluation.every)) + 1
    rows = steps / declared.training.log_every + steps / declared.evaluation.every
    if declared.diagnostics.measures:
        rows += steps / declared.diagnostics.every
    written = ROW_BYTES * len(declared.seeds) * rows + 16 * 1024 * FLOAT
    return int(kept * state + best * agent + replay + memory.disk + written)
