"""The best evaluation of a run, and the agent that had it, which is kept beside the newest checkpoints.

    RUN/checkpoints/best-000000030000/   state.safetensors, state.json, manifest.json

It holds the agent without optimizers, replay and random streams: enough to act, not to train on. Each new best is
written at its evaluation. An older one stays as long as a checkpoint from before the newer one is kept, so that a run
that goes on from there has its best. Tests: tests/faults/test_best.py.
"""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from composer.tracking.records import JOURNAL
from composer.training.runs.directory import read_blueprint
from composer.training.runs.edited import BLUEPRINT, RunEdited, check_record
from composer.training.runs.results import read_metrics
from composer.training.runs.snapshot import Snapshot
from composer.training.runs.state_files import CheckpointDamaged
from composer.training.runs.state_folder import damages_in, load_state, read_manifest, sweep, verified, write_folder

AGENT_ONLY = "agent_only"
"""A value of ``state.json`` where there is no state of training."""
_NAME = re.compile(r"best-(\d{12})")


def agent_of(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a state, by name, that acting needs: all but those of optimizers."""
    return {name: value for name, value in tensors.items() if not name.startswith("optimizers/")}


class Best(NamedTuple):
    """The first evaluation with the highest mean over seeds."""

    env_step: int
    value: float
    """The mean over seeds of the evaluation metric."""


def better(env_step: int, values: Sequence[float], than: Best | None) -> Best | None:
    """An evaluation with ``values`` by seed, if its mean is finite and above that of ``than``; else None."""
    mean = fmean(values)
    return Best(env_step, mean) if math.isfinite(mean) and (than is None or mean > than.value) else None


def best_evaluation(run: Path, metric: str, seeds: Sequence[int]) -> Best | None:
    """The best evaluation in the journal of a run by its evaluation metric; None before the first one.

    An evaluation that lacks a seed, or whose mean is not finite, does not count.
    """
    series = read_metrics(run / JOURNAL, seeds, only=metric).get(metric)
    best: Best | None = None
    if series is not None:
        for step, column in zip(series.env_steps.tolist(), np.asarray(series.values).T.tolist(), strict=True):
            best = better(step, column, best) or best
    return best


def best_of(run: Path) -> Best | None:
    """``best_evaluation`` by the metric and the seeds of the run's own blueprint. Raises what reading it raises."""
    blueprint = read_blueprint(run)
    return best_evaluation(run, blueprint.environment.metric, blueprint.seeds)


class BestAgents:
    """The best agents of one run directory, by environment step; the newest is the best."""

    def __init__(self, run: Path, facts: Mapping[str, Any] | None) -> None:
        """``facts`` as those of ``Checkpoints``: of them, each agent keeps the id and the blueprint of the run."""
        self._run, self._facts, self._root = run, facts, run / "checkpoints"

    def steps(self) -> list[int]:
        """Environment steps of the agents, oldest first."""
        found = (_NAME.fullmatch(entry.name) for entry in self._root.iterdir()) if self._root.is_dir() else ()
        return sorted(int(match[1]) for match in found if match)

    def folder(self, step: int) -> Path:
        """The folder of the agent that was best at an environment step."""
        return self._root / f"best-{step:012d}"

    def save(self, step: int, snapshot: Snapshot, checkpoints: Iterable[int]) -> None:
        """Write the agent of a new best, then remove those that no checkpoint of these steps needs."""
        self._root.mkdir(exist_ok=True)
        sweep(self._root)
        facts = {"step": step, "segments": []} | ({} if self._facts is None else {"run": _lasting(self._facts)})
        write_folder(self.folder(step), snapshot, facts, {})
        sweep(self._root)
        self.prune(checkpoints)

    def prune(self, checkpoints: Iterable[int]) -> None:
        """Keep the newest, and for each checkpoint the agent that was best then."""
        steps = self.steps()
        needed = {max((step for step in steps if step <= kept), default=None) for kept in (*checkpoints, math.inf)}
        for step in steps:
            if step not in needed:
                shutil.rmtree(self.folder(step))

    def discard_after(self, step: int) -> None:
        """Remove agents newer than ``step``: the run goes on from there."""
        for newer in self.steps():
            if newer > step:
                shutil.rmtree(self.folder(newer))

    def load(self, step: int) -> Snapshot:
        """The agent that was best at a step; raises CheckpointDamaged, OtherFormat and RunEdited."""
        path = self.folder(step)
        self._check_run(path, verified(self._run, path))
        return load_state(path)

    def damages(self, step: int) -> Iterator[str]:
        """A line on each damaged file, and on other settings than those of the run."""
        path = self.folder(step)
        try:
            manifest = read_manifest(path)
            yield from damages_in(self._run, manifest, {})
            self._check_run(path, manifest)
        except (CheckpointDamaged, RunEdited) as damage:
            yield str(damage)

    def _check_run(self, path: Path, manifest: Mapping[str, Any]) -> None:
        if self._facts is not None and "run" in manifest:
            check_record(path, _lasting(manifest["run"]), _lasting(self._facts))


def _lasting(facts: object) -> dict[str, Any]:
    """The facts of a run that never change: whether it compiles is found out later. Nothing of what is no table."""
    return {key: facts[key] for key in ("run_id", BLUEPRINT) if key in facts} if isinstance(facts, dict) else {}
