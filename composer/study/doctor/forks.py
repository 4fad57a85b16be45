"""The doctor's forks: with and without fresh weights, branch by branch; finished ones are not trained again.

Both forks of a pair share every random number. Tests: tests/study/test_doctor.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from composer import compiling, launch
from composer.blueprint import load
from composer.blueprint.timeline import clock_of
from composer.checkpoint import Checkpoints
from composer.forking import Origin, branched, parting
from composer.results import read_metrics
from composer.runs import RunUnusable, read_facts
from composer.study.statistics import Curve
from composer.tracking.records import JOURNAL

ARMS = ("plain", "injected")
NEVER = 10**12
"""Environment steps between two checkpoints of a fork: its first and its last are enough."""


@dataclass(frozen=True)
class Plan:
    """What is forked, and how often."""

    run: Path
    origin: Origin
    injection: str
    """The override that injects."""
    horizon: int
    """Environment steps that are trained."""
    branches: int
    folder: Path
    """Where the forks lie."""

    def overrides(self, arm: str) -> list[str]:
        """Of one of the ``ARMS``."""
        step = self.origin.step
        common = [
            f"training.env_steps={step + self.horizon}",
            f"checkpoint.every={NEVER}",
            'tracking={ kind = "none" }',
            *self._computing(),
        ]
        return [*common, self.injection] if arm == "injected" else common

    def _computing(self) -> list[str]:
        """Whether a compilation pays is a matter of the horizon, not of the whole run."""
        blueprint = self.origin.blueprint
        if blueprint.compute.compile != "auto":
            return []
        clock = clock_of(blueprint)
        updates = clock.updates_by(self.origin.step + self.horizon) - clock.updates_by(self.origin.step)
        choice = compiling.choose("auto", str(self.origin.facts["device"]), updates)
        return [f"compute.compile={'always' if choice.compiled else 'never'}"]


def train(plan: Plan, say: Callable[[str], None]) -> dict[str, list[Path]]:
    """The forks of both arms, by branch. Raises Stopped and whatever refuses a fork."""
    for arm in ARMS:  # What is wrong with either is told before anything is trained.
        load(plan.run / "blueprint.toml", plan.overrides(arm))
    paths: dict[str, list[Path]] = {arm: [] for arm in ARMS}
    there = sorted(entry.parent for entry in plan.folder.glob("*/run.json"))
    for number in range(plan.branches * len(ARMS)):
        branch, arm = number // len(ARMS), ARMS[number % len(ARMS)]
        told = f"fork {number + 1} of {plan.branches * len(ARMS)}: branch {branch}, {arm}"
        path = next((path for path in there if _is_finished(path, plan, arm, branch)), None)
        say(told if path is None else f"{told}: finished before, in {path}")
        paths[arm].append(path or _trained(plan, arm, branch))
    return paths


def curves(paths: Sequence[Path], metric: str, seeds: Sequence[int]) -> Curve:
    """The metric in forks of one arm, one curve a seed and branch, ``[S * N, T]``: all branches of a seed in a row."""
    found = [read_metrics(path / JOURNAL, seeds)[metric] for path in paths]
    steps = found[0].env_steps
    values = np.stack([series.values for series in found], 1)
    return Curve(steps, values.reshape(-1, len(steps)))


def _trained(plan: Plan, arm: str, branch: int) -> Path:
    try:
        return launch.fork(plan.run, plan.overrides(arm), plan.origin.step, branch, plan.folder, quiet=True).path
    except launch.Stopped as stopped:
        first = str(stopped).splitlines()[0]
        message = f"{first}\nthe same command again trains what is not finished; forks are in {plan.folder}"
        raise launch.Stopped(message, stopped.exit_code, stopped.table) from stopped


def _is_finished(path: Path, plan: Plan, arm: str, branch: int) -> bool:
    """Whether a run is this fork, trained to its end."""
    try:
        facts = read_facts(path)
    except RunUnusable:
        return False
    wanted = branched(load(plan.run / "blueprint.toml", plan.overrides(arm)).blueprint, branch)
    steps = Checkpoints(path).steps()
    is_it = facts.get("fork") == parting(plan.origin, wanted, branch)
    return is_it and bool(steps) and steps[-1] >= wanted.training.env_steps
