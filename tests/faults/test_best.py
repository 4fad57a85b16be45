"""The best agent of a run: which it is, that it is the one that was evaluated, and that no kill loses it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_runs import DRIFT, begin, finished, result, resumed, rows, stopped
from torch import Tensor

from composer.tracking.journal import Journal
from composer.training import assemble
from composer.training.evaluation import EpisodeEvaluator
from composer.training.learner import Learner
from composer.training.runs.best import Best, agent_of, best_evaluation, best_of
from composer.training.runs.checkpoint import CheckpointDamaged, Checkpoints

SHORT = (DRIFT, "seeds=[0, 5]", "training.env_steps=140", "evaluation.every=20", "checkpoint.every=50")
SCORES = {20: 1.0, 40: 5.0, 60: 2.0, 80: math.nan, 100: 6.0, 120: 6.0, 140: 3.0}
METRIC = "evaluation/return"


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> dict[int, dict[str, Tensor]]:
    """Evaluations have the returns ``SCORES``; the agents that were evaluated, by step."""
    seen: dict[int, dict[str, Tensor]] = {}

    def returns(self: EpisodeEvaluator, learner: Learner, number: int, watch: Any = None) -> NDArray[np.float64]:
        seen[number] = {name: value.detach().clone() for name, value in agent_of(learner.tensors()).items()}
        return np.array([[SCORES[number] - 0.5], [SCORES[number] + 0.5]])

    monkeypatch.setattr(EpisodeEvaluator, "returns", returns)
    return seen


def kept(run: Path) -> list[int]:
    return Checkpoints(run).best.steps()


def same(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_first_of_the_highest_finite_means_over_seeds(tmp_path: Path) -> None:
    evaluations: Sequence[tuple[int, Sequence[float]]] = (
        (10, [1.0, 2.0]),
        (20, [9.0, math.nan]),
        (30, [0.0, 4.0]),
        (40, [4.0, 0.0]),
        (50, [9.0]),
    )
    assert best_evaluation(tmp_path, METRIC, (3, 7)) is None
    with Journal(tmp_path / "journal.jsonl") as journal:
        for step, values in evaluations:
            for seed, value in zip((3, 7), values, strict=False):
                row = {"type": "metrics", "env_step": step, "seed": seed, "metrics": {METRIC: value}}
                journal.append(row)
    assert best_evaluation(tmp_path, METRIC, (3, 7)) == Best(30, 2.0)


def test_the_agent_of_the_best_evaluation_is_kept_as_it_was_evaluated(
    scored: dict[int, dict[str, Tensor]], tmp_path: Path
) -> None:
    when = "{ kind = 'crossing', metric = 'evaluation/return', above = 5.0, clock = 'env' }"
    jolt = f"interventions.jolt={{ when = {when}, where = ['actor.*'], do = {{ kind = 'perturb', keep = 0.5 }} }}"
    run, session = finished(tmp_path, *SHORT, jolt)
    assert best_of(run) == Best(100, 6.0) == session.best
    assert kept(run) == [100]
    assert any(row.get("name") == "jolt" and row["env_step"] == 100 for row in rows(run)), "it fired at the evaluation"
    _, learner, snapshot = assemble.load_agent(run, "best")
    assert snapshot.path == run / "checkpoints" / "best-000000000100"
    assert not any(name.startswith("optimizers/") for name in snapshot.tensors)
    assert same(learner.tensors(), scored[100])
    assert not same(assemble.load_agent(run)[1].tensors(), scored[100])


def test_a_run_that_goes_on_from_before_a_newer_best_has_its_older_one(
    scored: dict[int, dict[str, Tensor]], tmp_path: Path
) -> None:
    whole = result(finished(tmp_path / "whole", *SHORT)[0])
    path = stopped(*begin(tmp_path / "early", *SHORT), at=90)
    assert (Checkpoints(path).steps(), kept(path)) == ([50, 91], [40])
    run, session, _ = assemble.resume(path)
    assert session.best == Best(40, 5.0)
    session.close()
    run.close()
    # A best from after the checkpoint, as a kill leaves it, is not that of the journal.
    scores = Checkpoints(path).best
    (path / "checkpoints" / "best-000000000040").rename(path / "checkpoints" / "best-000000000100")
    with pytest.raises(CheckpointDamaged, match="at environment step 40, whose agent is not kept"):
        assemble.load_agent(path, "best")
    run, session, _ = assemble.resume(path)
    assert scores.steps() == []
    session.close()
    run.close()
    assert result(resumed(path)) == whole
    assert kept(path) == [100]
    assert same(assemble.load_agent(path, "best")[1].tensors(), scored[100])


def test_older_ones_stay_as_long_as_a_checkpoint_needs_them(tmp_path: Path) -> None:
    run, session = begin(tmp_path, *SHORT)
    best = session.checkpoints.best
    held = []
    for step in (10, 30, 35, 60):
        best.save(step, session.snapshot(), [20, 40, 50])
        held.append(best.steps())
    assert held == [[10], [10, 30], [10, 35], [10, 35, 60]]
    best.prune([40, 70])
    assert best.steps() == [35, 60]
    best.prune([])
    assert best.steps() == [60]
    session.close()
    run.close()


def test_a_damaged_one_is_named_and_never_used(scored: object, tmp_path: Path) -> None:
    run, _ = finished(tmp_path, *SHORT)
    path = run / "checkpoints" / "best-000000000100" / "state.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-4] + b"\0\0\0\1")
    with pytest.raises(CheckpointDamaged, match=r"best-000000000100/state.safetensors: its SHA-256"):
        assemble.load_agent(run, "best")
