"""Train the doctor's pairs of forks, with and without fresh weights; finished forks are not trained again.

Both forks of a pair have the same random streams. Tests: tests/studies/test_doctor.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from composer.blueprint import load
from composer.blueprint.forecast.clock import clock_of
from composer.spec.errors import ComposerError
from composer.spec.interval import Bounds
from composer.studies.doctor.shorter import until
from composer.studies.statistics import Curve
from composer.tracking.records import JOURNAL
from composer.training import launch
from composer.training.assemble import Origin, branched, fork_facts
from composer.training.compile import capture as compiling
from composer.training.endings import Stopped
from composer.training.runs.checkpoint import Checkpoints
from composer.training.runs.directory import read_facts
from composer.training.runs.results import read_metrics

ARMS = ("plain", "injected")
NEVER = 10**12
"""Environment steps between checkpoints of a fork: the first and the last checkpoint are enough."""


@dataclass(frozen=True)
class Plan:
    """Which forks are trained."""

    run: Path
    origin: Origin
    injection: str
    """The override that injects."""
    horizon: int
    """Environment steps that each fork trains."""
    branches: int
    folder: Path
    """Folder of the forks."""

    def overrides(self, arm: str) -> list[str]:
        """The overrides of one of the ``ARMS``."""
        step = self.origin.step
        common = [
            f"training.env_steps={step + self.horizon}",
            f"checkpoint.every={NEVER}",
            'tracking={ kind = "none" }',
            *self._computing(),
            *until(self.origin.blueprint, self.origin.interactions, step + self.horizon),
        ]
        return [*common, self.injection] if arm == "injected" else common

    def _computing(self) -> list[str]:
        """Whether compiling pays depends on the updates of the fork, not of the whole run."""
        blueprint = self.origin.blueprint
        if blueprint.compute.compile != "auto":
            return []
        clock = clock_of(blueprint)
        updates = clock.updates_by(self.origin.step + self.horizon) - clock.updates_by(self.origin.step)
        choice = compiling.choose("auto", str(self.origin.facts["device"]), updates)
        return [f"compute.compile={'always' if choice.compiled else 'never'}"]


def train(plan: Plan, say: Callable[[str], None]) -> dict[str, list[Path]]:
    """The forks of both arms, by branch. Raises Stopped, and the errors of a fork."""
    # Errors in either arm are raised before anything is trained.
    arms = {arm: load(plan.run / "blueprint.toml", plan.overrides(arm)).blueprint for arm in ARMS}
    paths: dict[str, list[Path]] = {arm: [] for arm in ARMS}
    there = list(_forks(plan.folder))
    pairs = [(branch, arm) for branch in range(plan.branches) for arm in ARMS]
    for number, (branch, arm) in enumerate(pairs, 1):
        wanted = fork_facts(plan.origin, branched(arms[arm], branch), branch)
        ends = arms[arm].training.env_steps
        path = next((path for fork, path in there if fork == wanted and _has_reached(path, ends)), None)
        name = f"fork {number} of {len(pairs)}: branch {branch}, {arm}"
        say(name if path is None else f"{name}: finished before, in {path}")
        paths[arm].append(path or _trained(plan, arm, branch))
    return paths


def curves(paths: Sequence[Path], metric: str, seeds: Sequence[int], bounds: Bounds) -> Curve:
    """The metric in the forks of one arm: a curve per seed and branch, ``[S * N, T]``, branches within seeds.

    ``bounds`` are the lowest and the highest value of the metric.
    """
    found = [read_metrics(path / JOURNAL, seeds, metric)[metric] for path in paths]
    steps = found[0].env_steps
    values = np.stack([series.values for series in found], 1)
    return Curve(steps, values.reshape(-1, len(steps)), bounds)


def _trained(plan: Plan, arm: str, branch: int) -> Path:
    try:
        return launch.fork(plan.run, plan.overrides(arm), plan.origin.step, branch, plan.folder, quiet=True).path
    except Stopped as stopped:
        first = str(stopped).splitlines()[0]
        message = f"{first}\nthe same command again trains what is not finished; forks are in {plan.folder}"
        raise Stopped(message, stopped.exit_code, stopped.table) from stopped


def _forks(folder: Path) -> Iterator[tuple[object, Path]]:
    """The forks in a folder: the entry ``fork`` of ``run.json``, and the path."""
    for entry in sorted(folder.glob("*/run.json")):
        with suppress(ComposerError):
            yield read_facts(entry.parent).get("fork"), entry.parent


def _has_reached(path: Path, env_steps: int) -> bool:
    """Whether a run was trained up to ``env_steps``: its last checkpoint follows its last step."""
    return Checkpoints(path).are_complete(env_steps)
