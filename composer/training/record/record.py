"""``composer record``: a data set from a run, which ``environment.kind = "offline"`` learns from.

Tests: tests/training/test_record.py.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from composer.environments.base import Simulator
from composer.environments.labelled.datasets.base import DataUnusable
from composer.environments.offline.data import files_digest
from composer.spec.errors import ComposerError
from composer.training.assemble.resumed_run import load_agent
from composer.training.collect.build import runtime_of
from composer.training.record.episodes import Episode, Play, held, played, streams
from composer.training.record.write import MinariWriter, ParquetWriter, Writer
from composer.training.runs.best import best_of
from composer.training.runs.checkpoint import Checkpoints

if TYPE_CHECKING:
    from composer.algorithms.base import Algorithm
    from composer.environments.base import Environment
    from composer.training.learner import Learner
    from composer.training.runs.checkpoint import Snapshot
    from composer.training.runs.chosen import Chosen

REFERENCE = 10
"""Episodes of random actions of each seed, for the lower score reference."""


class NothingToRecord(ComposerError, ValueError):
    """A run whose data cannot be recorded as asked; the message says why."""

    exit_code = 2


def record(run: Path, out: Path, play: Play, chosen: Chosen, from_replay: bool = False) -> dict[str, Any]:
    """Write the data set ``out``: a Parquet file by its ending, else a folder in Minari's layout; a table about it.

    With ``from_replay`` it is the replay of the newest checkpoint, and no episode is played. Raises NothingToRecord,
    DataUnusable, EnvironmentFailure, and what loading a run raises.
    """
    if out.exists():
        raise NothingToRecord(f"{out} exists already: remove it, or write elsewhere")
    blueprint, learner, snapshot = load_agent(run, None if from_replay else chosen)
    _ensure_recordable(blueprint.environment, blueprint.algorithm, play, from_replay)
    environment = cast(Simulator, blueprint.environment)
    found = _held(run, environment, learner, snapshot) if from_replay else _played(environment, learner, play)
    lowest = float(np.mean([each.total for each in _played(environment, learner, _random(play))]))
    writer, is_done = _writer(environment, run, out), False
    try:
        returns, steps = _write(writer, found, is_whole=not from_replay)
        facts = _facts(environment, run, snapshot, play, from_replay) | {"algorithm_name": blueprint.algorithm.kind}
        facts |= {"ref_min_score": lowest}
        if (best := best_of(run)) is not None and environment.metric == "evaluation/return":
            facts["ref_max_score"] = best.value
        writer.close(facts)
        is_done = True
    finally:
        if not is_done:
            shutil.rmtree(out, ignore_errors=True) if out.is_dir() else out.unlink(missing_ok=True)
    files = [path for path in out.rglob("*") if path.is_file()] if out.is_dir() else [out]
    return {
        "data": str(out), "kind": "minari" if out.is_dir() else "file", "sha256": files_digest(files),
        "episodes": len(returns), "steps": steps, "mean_return": float(np.mean(returns)),
        "smallest_return": min(returns), "largest_return": max(returns), **facts,
    }  # fmt: skip


def _ensure_recordable(environment: Environment, algorithm: Algorithm, play: Play, from_replay: bool) -> None:
    if not environment.is_simulator:
        raise NothingToRecord(f"this run learns from labelled data ({environment.kind}), and plays no episodes")
    if environment.stages(algorithm.batch_size) and not environment.learns_from_data:
        raise NothingToRecord(f"this run has several tasks ({environment.kind}): record a run of one of them")
    if play.noise and environment.info.discrete:
        raise NothingToRecord("--noise is for actions that are numbers; these are choices: use --epsilon")
    if from_replay and not algorithm.learns_from_replay:
        raise NothingToRecord(f"{algorithm.title} keeps no replay: leave --replay out")


def _played(environment: Simulator, learner: Learner, play: Play) -> Iterator[Episode]:
    environments = environment.make(streams(learner, play), "recorded")
    try:
        yield from played(learner, environments, play)
    finally:
        environments.close()


def _held(run: Path, environment: Simulator, learner: Learner, snapshot: Snapshot) -> Iterator[Episode]:
    ring = runtime_of(environment).own(learner, Checkpoints(run), snapshot)
    if ring is None or not ring.drawable:
        raise NothingToRecord(f"{run} has stored no transitions of its own yet")
    return held(ring, learner, environment.copies_per_seed)


def _random(play: Play) -> Play:
    return replace(play, episodes=REFERENCE, explore=False, noise=0.0, epsilon=1.0)


def _writer(environment: Simulator, run: Path, out: Path) -> Writer:
    spaces = environment.seen_spaces(environment.without_skills().native_spaces(), environment.info)
    if out.suffix == ".parquet":
        return ParquetWriter(out, spaces)
    if out.suffix:
        raise NothingToRecord(f"{out}: a file ending in .parquet, or a folder for Minari's layout, is meant")
    return MinariWriter(out, f"{environment.title}-{run.name}", spaces)


def _write(writer: Writer, found: Iterator[Episode], is_whole: bool) -> tuple[list[float], int]:
    """Returns of the episodes, and the number of their steps."""
    returns, steps = [], 0
    for episode in found:
        writer.add(episode, is_whole)
        returns.append(episode.total)
        steps += len(episode.reward)
    if not returns:
        raise DataUnusable("there were no episodes")
    return returns, steps


def _facts(environment: Simulator, run: Path, snapshot: Snapshot, play: Play, from_replay: bool) -> dict[str, Any]:
    how = {"from": "replay"} if from_replay else {"from": "policy", **asdict(play)}
    step = int(snapshot.values["interactions"]) * environment.stride
    return {
        "description": f"{environment.title}: composer record of the run {run.name}",
        "run": run.name,
        "env_step": step,
        **{f"recorded_{key}": value for key, value in how.items()},
    }
