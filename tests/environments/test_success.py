"""Success: counted for each episode over steps and decisions, scored as publications do, evaluated beside returns."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import registered_environments  # noqa: F401
import torch

from composer.environments import EnvironmentFailure, Gymnasium
from composer.environments.success import episode_scores
from composer.training.evaluation import EpisodeEvaluator

TARGET = {"module": "registered_environments", "id": "test/Target-v0"}


def target(repeat: int = 1, success: dict[str, Any] | None = None) -> Gymnasium:
    return Gymnasium(**TARGET, action_repeat=repeat, success=success or {"info": "won"})  # type: ignore[arg-type]


@pytest.mark.parametrize("repeat", [1, 2])
def test_counts_are_those_of_the_episode(repeat: int) -> None:
    """A slow reference that moves the point itself, ends included."""
    vector = target(repeat).make([3, 8], "training")
    draw, counts = np.random.default_rng(0), np.zeros((2, 2), int)
    position = vector.reset(episode=0)[:, 0].copy()
    ended_some = 0
    for _ in range(40):
        action = draw.uniform(-1, 1, (2, 1)).astype(np.float32)
        step = vector.step(action)
        for row in range(2):
            at, last = float(position[row]), False
            for _ in range(repeat):
                at += float(action[row, 0])
                last = abs(at) < 0.5
                counts[row, 0] += last
                if abs(at) > 4 or (step.truncated[row] and abs(at - step.final_observation[row, 0]) < 1e-6):
                    break
            counts[row, 1] += last
        np.testing.assert_array_equal(vector.solved(), counts)
        ended = step.terminated | step.truncated
        ended_some += int(ended.sum())
        counts[ended] = 0
        position = step.observation[:, 0].copy()
    assert ended_some >= 6


def test_scores_are_those_of_the_publications() -> None:
    returns, solved = np.array([1.5, 2.0, 3.0, 4.0]), np.array([[0, 0], [5, 1], [6, 0], [100, 50]])
    scores = episode_scores(returns, solved)
    assert {name: each.tolist() for name, each in scores.items()} == {
        "evaluation/return": [1.5, 2.0, 3.0, 4.0],
        "evaluation/success": [0.0, 1.0, 0.0, 1.0],  # SimBa: a decision's last step is solved, once
        "evaluation/sustained_success": [0.0, 0.0, 1.0, 1.0],  # MyoSuite: more than 5 steps
    }


def test_an_evaluation_reports_the_chosen_score_and_the_others() -> None:
    environment = target(success={"info": "won", "score": "sustained_success"})
    assert environment.metric == "evaluation/sustained_success" and environment.metric_range == (0.0, 1.0)
    assert [each.name for each in environment.further_evaluation_metrics()] == [
        "evaluation/return",
        "evaluation/success",
    ]
    (returns, _) = environment.training_metrics()
    assert returns.high == float("inf")
    evaluator = EpisodeEvaluator.of(environment, seeds=(0, 1), episodes=3)
    learner: Any = SimpleNamespace(
        policy=SimpleNamespace(begin_evaluation=lambda number: None),
        device="cpu",
        act=lambda raw, explore: (-raw).clamp(-1, 1),  # goes to 0 and stays
    )
    scores = evaluator.returns(learner, 5)
    assert scores.tolist() == [[1.0] * 3] * 2
    assert [row["evaluation/success"] for row in evaluator.more(learner, 5)] == [1.0, 1.0]
    assert all(-4 < row["evaluation/return"] < 0 for row in evaluator.more(learner, 5))
    learner.act = lambda raw, explore: torch.ones_like(raw)  # leaves
    assert evaluator.returns(learner, 5).tolist() == [[0.0] * 3] * 2
    evaluator.close()


def test_an_environment_that_does_not_tell_is_named() -> None:
    vector = Gymnasium(**TARGET, kwargs={"tells": False}, success={"info": "won"}).make([0], "training")  # type: ignore[arg-type]
    vector.reset()
    with pytest.raises(
        EnvironmentFailure, match="an info without 'won', the key that is to tell success; it has other"
    ):
        vector.step(np.zeros((1, 1), np.float32))
    vector.close()


def test_without_success_only_returns_are_judged() -> None:
    environment = Gymnasium(id="CartPole-v1")
    assert (environment.metric, environment.metric_range) == ("evaluation/return", (0.0, 500.0))
    assert environment.further_evaluation_metrics() == ()
