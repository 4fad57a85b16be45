"""Aggregates over tasks: of normalised scores, or of one scale; and where tasks have none, no aggregate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from comparison_runs import write_run

from composer.studies.compare import report
from composer.studies.compare.compare import compare
from composer.studies.statistics import Scores

ATARI = ("atari/dqn", "environment.game")


def finals(*values: float) -> dict[int, tuple[float, ...]]:
    return {seed: (0.0, value / 2, value) for seed, value in enumerate(values)}


def test_scores_are_normalised_by_the_table_of_their_environment(tmp_path: Path) -> None:
    """Pong and Breakout have scales of their own: 14.6 and 30.5 are a human's scores."""
    pong, breakout = [14.6, -20.7, 14.6, -3.05], [1.7, 30.5, 59.3, 30.5]
    runs = [
        write_run(tmp_path / "p", "a", finals(*pong), "pong", *ATARI),
        write_run(tmp_path / "b", "a", finals(*breakout), "breakout", *ATARI),
    ]
    table = compare(runs).table
    over = table["all_tasks"]
    assert over["scores"] == "human-normalised score" and over["tasks"] == ["breakout", "pong"]
    (row,) = over["agents"]
    expected = Scores.of([0.0, 1.0, 2.0, 1.0], [1.0, 0.0, 1.0, 0.5])
    for name in ("mean", "iqm", "median", "optimality_gap"):
        assert row[name]["value"] == pytest.approx(getattr(expected, name)().value), name
    assert table["tasks"][1]["agents"][0]["final"]["by_seed"] == pytest.approx(pong), "raw scores stay visible"
    assert table["tasks"][1]["agents"][0]["normalized"]["by_seed"] == pytest.approx([1.0, 0.0, 1.0, 0.5])
    assert table["tasks"][0]["scale"]["citation"].endswith("table H.4")
    assert row["performance_profile"]["value"][-1] == 0.0 and row["sample_efficiency"]["at"] == [100, 200, 300]
    assert row["sample_efficiency"]["value"][-1] == pytest.approx(row["iqm"]["value"])
    assert "optimality gap" in report.text(table)


def test_tasks_without_constants_are_not_averaged_with_others(tmp_path: Path) -> None:
    def runs(*tasks: Sequence[str]) -> list[Path]:
        found = []
        for kind, key, task in tasks:
            path = tmp_path / f"{len(list(tmp_path.iterdir()))}-{task}"
            found.append(write_run(path, "a", finals(1.0, 2.0, 3.0), task, kind, key))
        return found

    cartpole, walker = ("classic/cartpole_dqn", "environment.id", "CartPole-v1"), ("dmc/sac_mlp", "environment.task")
    one = compare(runs(cartpole, (*walker, "walker-walk"))).table
    assert one["all_tasks"] is None
    assert any("CartPole-v1 without constants cannot be averaged" in note for note in one["notes"])
    three = compare(runs(cartpole, (*walker, "walker-walk"), (*walker, "cheetah-run"))).table
    assert three["all_tasks"]["tasks"] == ["cheetah-run", "walker-walk"], "those that have them are"
    named = compare(runs((*walker, "walker-walk"), (*walker, "cheetah-run")), constants="mujoco_td3").table
    assert any("mujoco_td3 has no constants for cheetah-run, walker-walk" in note for note in named["notes"])
    assert named["all_tasks"]["scores"] == "raw", "both are within 0 and 1000"


def test_the_step_of_a_task_is_its_own(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "w", "a", finals(100, 200, 300), "walker-walk", "dmc/sac_mlp", "environment.task"),
        write_run(
            tmp_path / "c", "a", finals(100, 200, 300), "cheetah-run", "dmc/sac_mlp", "environment.task", (10, 20, 30)
        ),
    ]
    (row,) = compare(runs).table["all_tasks"]["agents"]
    assert row["sample_efficiency"] is None, "there is no step at which both tasks have been evaluated"
    np.testing.assert_allclose(row["mean"]["value"], 0.2)
