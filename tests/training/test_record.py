"""Data sets from runs: the episodes that are played, what is written, and that it is learned from at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recorded import offline
from tiny_runs import DRIFT, finished, interactions, last_json, tiny
from typer.testing import CliRunner

from composer.cli import app
from composer.environments import File, Minari
from composer.environments.offline.data import Steps
from composer.training import assemble
from composer.training.assemble.resumed_run import load_agent
from composer.training.collect.build import runtime_of
from composer.training.collect.data_replay import DataSource
from composer.training.record.episodes import Play
from composer.training.record.record import NothingToRecord, record
from composer.training.runs.checkpoint import Checkpoints

SMALL = (DRIFT, "training.env_steps=70", "seeds=[0, 3]", "algorithm.update_to_data=0.1", "evaluation.every=70")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.mktemp("runs"), *SMALL)[0]


def same(first: Steps, second: Steps) -> None:
    for ours, theirs in zip(first[1:5], second[1:5], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_both_layouts_hold_the_same_episodes_and_a_run_learns_from_them(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written to relative paths, as a user would."""
    pytest.importorskip("minari")
    monkeypatch.chdir(tmp_path)
    play = Play(episodes=3, noise=0.3, epsilon=0.2, explore=True)
    tables: list[dict[str, Any]] = [record(run, Path(out), play, None) for out in ("a.parquet", "b")]
    first, second = File(path=str(tmp_path / "a.parquet")), Minari(path="b")
    same(first.read(), second.read())
    for table, data in zip(tables, (first, second), strict=True):
        assert (table["episodes"], table["steps"]) == (6, data.size())
        assert table["sha256"] == data.digest()
        assert table["ref_min_score"] < table["largest_return"]
    assert second.metadata()["ref_min_score"] == tables[0]["ref_min_score"]
    steps = first.read()
    assert int((steps.terminated | steps.cut).sum()) == 6
    assert steps.following is not None
    inside = ~(steps.terminated | steps.cut)[:-1]
    np.testing.assert_array_equal(
        steps.following["observation"][:-1][inside], steps.observation["observation"][1:][inside]
    )
    _, session = assemble.start(tiny(*SMALL, offline(tmp_path / "a.parquet")), tmp_path, None)
    next(interactions(session))
    assert isinstance(session.collector.replay, DataSource) and session.collector.replay.data.size == len(steps.reward)


def test_episodes_follow_from_the_seed_and_nothing_else(run: Path, tmp_path: Path) -> None:
    """The environment is arithmetic: rewards can be computed from the actions that were written."""
    plays = [Play(2), Play(2), Play(2, seed=1), Play(2, noise=0.5), Play(2, explore=True)]
    found = []
    for index, play in enumerate(plays):
        record(run, tmp_path / f"{index}.parquet", play, None)
        found.append(File(path=str(tmp_path / f"{index}.parquet")).read())
    same(found[0], found[1])
    for other in found[2:]:
        assert other.action.shape != found[0].action.shape or not np.array_equal(other.action, found[0].action)
    noisy = found[3]
    assert np.abs(noisy.action).max() <= 1
    assert noisy.following is not None
    np.testing.assert_allclose(noisy.reward, 1 - np.abs(noisy.following["observation"][:, 0]), atol=1e-6)


def test_a_replay_is_written_as_it_is_held(run: Path, tmp_path: Path) -> None:
    table = record(run, tmp_path / "replay.parquet", Play(1), None, from_replay=True)
    assert table["steps"] == 2 * 70 and table["recorded_from"] == "replay"
    steps = File(path=str(tmp_path / "replay.parquet")).read()
    blueprint, learner, snapshot = load_agent(run)
    ring = runtime_of(blueprint.environment).own(learner, Checkpoints(run), snapshot)
    assert ring is not None
    held = ring.windows(torch.arange(70).expand(2, -1), 1, torch.ones(2))
    np.testing.assert_array_equal(steps.reward, held.reward.flatten())
    np.testing.assert_array_equal(steps.terminated, held.bootstrap.flatten() == 0)
    np.testing.assert_array_equal(steps.observation["observation"], held.observation.flatten(0, 1))


def test_what_cannot_be_recorded_is_said(run: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(NothingToRecord, match="exists already"):
        record(run, tmp_path / "there", Play(1), None)
    with pytest.raises(NothingToRecord, match=r"a file ending in \.parquet, or a folder"):
        record(run, tmp_path / "a.csv", Play(1), None)
    answer = CliRunner().invoke(app, ["record", str(run), "--out", str(tmp_path / "there"), "--json"])
    assert answer.exit_code == 2 and "exists already" in str(last_json(answer.stdout))
    answer = CliRunner().invoke(app, ["record", str(run), "--out", str(tmp_path / "c.parquet"), "--episodes", "1"])
    assert answer.exit_code == 0 and 'learn from it: data = { kind = "file"' in answer.stderr
