"""Tasks side by side: what each environment sees, whose actions it takes, scores by task, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drift import Drift as Drift
from tiny_runs import begin, go_on, result, resumed, rows, stopped, tiny

from composer.blueprint import BlueprintError
from composer.environments import Gymnasium, Multitask

TASKS = ({"kind": "gymnasium", "id": "Pendulum-v1"}, {"kind": "gymnasium", "id": "MountainCarContinuous-v0"})
"""Three and two entries of an observation, one action each, 200 and 999 steps."""
TWO = """environment={ kind = "multitask", pad = true, copies = 2, tasks = [
    { kind = "test/drift", limit = 5 }, { kind = "gymnasium", id = "Pendulum-v1" }] }"""


def declared(**more: Any) -> Multitask:
    return Multitask.model_validate({"tasks": TASKS, "pad": True, **more})


def test_each_environment_is_its_task_padded_and_named() -> None:
    """Against the tasks alone under equal seeds and actions: environments 0 and 2 are the first task."""
    made = declared(copies=2)
    info = made.info
    assert (info.observation, info.action_size, info.tasks, info.episode_env_steps) == ((5,), 1, 2, 999)
    assert (made.stride, made.copies_per_seed, len(made.copy_seeds(3))) == (4, 4, 4)
    streams = made.copy_seeds(3)
    vector, alone = made.make(streams, "training"), []
    for index, task in enumerate(TASKS):
        alone.append(Gymnasium(id=task["id"]).make(streams[index::2], "training"))
    seen, draws = vector.reset(), np.random.default_rng(0)
    firsts = [each.reset().copy() for each in alone]
    for step in range(210):
        names = seen[:, 3:]
        np.testing.assert_array_equal(names, np.eye(2)[[0, 1, 0, 1]])
        assert not seen[1::2, 2].any(), "the shorter observation is filled up with zeros"
        np.testing.assert_array_equal(seen[::2, :3], firsts[0])
        np.testing.assert_array_equal(seen[1::2, :2], firsts[1])
        actions = draws.uniform(-1, 1, (4, 1)).astype(np.float32)
        got, expected = vector.step(actions), [each.step(actions[index::2]) for index, each in enumerate(alone)]
        for index, each in enumerate(expected):
            for name in ("reward", "terminated", "truncated", "episode_return", "episode_length"):
                np.testing.assert_array_equal(getattr(got, name)[index::2], getattr(each, name), err_msg=name)
        assert got.truncated.tolist() == [step == 199, False] * 2, "each ends by itself"
        scores = vector.scores()
        np.testing.assert_array_equal(scores["evaluation/return_of_task_2"][1::2], expected[1].episode_return)
        assert np.isnan(scores["evaluation/return_of_task_2"][::2]).all()
        seen, firsts = got.observation, [each.observation.copy() for each in expected]
    for each in (vector, *alone):
        each.close()


RUN = (TWO, "evaluation.episodes=4", "training.env_steps=240", "evaluation.every=120", "checkpoint.every=80")


def test_evaluations_tell_the_return_of_each_task_and_runs_go_on_exactly(tmp_path: Path) -> None:
    """Two episodes of drift and two of a pendulum: the metric is the mean of all four."""
    run, parts = begin(tmp_path / "whole", *RUN)
    go_on(parts)
    run.close()
    found = [row["metrics"] for row in rows(run.path) if "evaluation/return_of_task_1" in row.get("metrics", {})]
    assert len(found) == 2
    for row in found:
        each = [row[f"evaluation/return_of_task_{number}"] for number in (1, 2)]
        assert row["evaluation/return"] == pytest.approx(sum(each) / 2) and each[0] != each[1]
    assert result(resumed(stopped(*begin(tmp_path / "stopped", *RUN), 104))) == result(run.path)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("evaluation.episodes=3",), "evaluation.episodes: 3 are no multiple of 2 tasks"),
        (
            ("environment.pad=false",),
            r"tasks\[1\]: 1 actions here, 2 in the first task: set environment.pad",
        ),
        (("environment.workers=3",), "environment.workers: each of 2 tasks needs as many workers"),
        (
            ("environment.tasks[1]={ kind = 'minatar', game = 'breakout' }",),
            r"tasks\[1\]: tasks side by side",
        ),
    ],
)
def test_what_cannot_be_is_refused(overrides: tuple[str, ...], said: str) -> None:
    with pytest.raises(BlueprintError, match=said):
        tiny(TWO, "evaluation.episodes=4", *overrides)
