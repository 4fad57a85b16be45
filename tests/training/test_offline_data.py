"""Data sets as a replay has them: what ends where, units of actions, views of observations, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from composer.environments import DmControl, Gymnasium
from composer.environments.base import Simulator
from composer.environments.interface import EnvironmentInfo
from composer.environments.labelled.datasets.base import DataUnusable
from composer.environments.native import NativeAction, NativePart, NativeSpaces
from composer.environments.offline.data import Steps
from composer.environments.offline.offline import Rewards
from composer.training.collect.offline_data import Encoded, encoded, reward_factor

INFO = EnvironmentInfo((2,), 1, 100, 1, terminates=True)
SPACES = NativeSpaces(
    (NativePart("observation", (2,), "float32"),), NativeAction((1,), "float32", 0, 0, (1.0,), (2.0,))
)


def steps(length: int = 6, **more: Any) -> Steps:
    """Observations are 0, 1, 2, ...; the third step terminates, the fifth is truncated."""
    rows = np.arange(length, dtype=np.float32)
    terminated, cut = rows == 2, rows == 4
    found = Steps({"observation": np.stack([rows, -rows], 1)}, np.full(length, 1.0), rows, terminated, cut)
    return found._replace(**more)


def taken(found: Steps, **more: Any) -> Encoded:
    return encoded(found, more.get("spaces", SPACES), more.get("info", INFO), more.get("is_unit", False))


def test_without_next_observations_the_last_step_of_an_unfinished_episode_is_dropped() -> None:
    """Steps 0, 1, 2 (terminated), 3, 4 (truncated), 5 (the end of the data): 4 and 5 lead nowhere that is known."""
    found = taken(steps())
    assert found.reward.tolist() == [0, 1, 2, 3]
    assert found.terminated.tolist() == [False, False, True, False]
    assert found.truncated.tolist() == [False, False, False, True]
    assert found.following[:2, 0].tolist() == [1, 2] and found.following[3, 0] == 4
    following = {"observation": np.arange(12, dtype=np.float32).reshape(6, 2)}
    whole = taken(steps(following=following))
    assert whole.reward.tolist() == [0, 1, 2, 3, 4, 5]
    assert whole.truncated.tolist() == [False, False, False, False, True, True]
    assert whole.following[:, 0].tolist() == [0, 2, 4, 6, 8, 10]
    with pytest.raises(DataUnusable, match="no step is followed"):
        taken(steps(cut=np.ones(6, bool), terminated=np.zeros(6, bool)))


def test_actions_come_from_the_units_of_the_environment() -> None:
    """``2 a + 1`` takes [-1, 1] to [-1, 3]."""
    assert taken(steps(action=np.array([-1, 1, 3, 0, 2, 1.0]))).action[:4, 0].tolist() == [-1, 0, 1, -0.5]
    unit = taken(steps(action=np.array([-1, 1, 0.5, 0, 0, 0])), is_unit=True)
    assert unit.action[:3, 0].tolist() == [-1, 1, 0.5]
    with pytest.raises(DataUnusable, match=r"reach 2 .* see environment.data.actions"):
        taken(steps(action=np.full(6, 5.0)))
    choice = NativeSpaces(SPACES.parts, NativeAction((), "int64", 1, 3))
    discrete = EnvironmentInfo((2,), 3, 100, 1, terminates=True, discrete=True)
    indices = np.array([1, 2, 3, 1, 2, 3])
    chosen = taken(steps(action=indices), spaces=choice, info=discrete)
    assert chosen.action.argmax(1).tolist() == [0, 1, 2, 0]
    with pytest.raises(DataUnusable, match="no choices from 1 to 3"):
        taken(steps(action=indices - 1), spaces=choice, info=discrete)


@pytest.mark.parametrize("environment", [Gymnasium(id="Pendulum-v1"), DmControl(task="cartpole-swingup")])
def test_a_simulator_s_own_steps_are_what_its_replay_would_hold(environment: Simulator) -> None:
    """Its own units and back; and what composer itself sees, in one array, as it is."""
    spaces, draw = environment.native_spaces(), np.random.default_rng(0)
    seen = draw.normal(size=(5, *environment.info.observation)).astype(np.float32)
    unit = draw.uniform(-1, 1, (5, environment.info.action_size)).astype(np.float32)
    native, flags = spaces.natively(seen), np.zeros(5, bool)
    action = unit * spaces.action.ranges / 2 + np.asarray(spaces.action.offset or 0)
    for parts in (native, {"observation": seen}):
        found = encoded(Steps(parts, action, np.zeros(5), flags, flags, parts), spaces, environment.info, False)
        torch.testing.assert_close(found.observation, torch.from_numpy(seen))
        torch.testing.assert_close(found.action, torch.from_numpy(unit))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"reward": np.array([0, 1, np.nan, 3, 4, 5])},
            "step 2 of the data .* not finite as its reward",
        ),
        ({"observation": {"observation": np.zeros((6, 3), np.float32)}}, r"'observation' .* shape \[3\], .* \[2\]"),
        ({"observation": {"a": np.zeros((6, 2)), "b": np.zeros((6, 2))}}, "have the parts 'a', 'b', the task's 'obs"),
        ({"action": np.zeros((6, 2))}, "have 2 entries, those of the task 1"),
        ({"terminated": np.zeros(0, bool), "cut": np.zeros(0, bool)}, "no steps"),
    ],
)
def test_what_does_not_fit_is_named(more: dict[str, Any], message: str) -> None:
    with pytest.raises(DataUnusable, match=message):
        taken(steps(**more))


def test_returns_of_the_data_span_what_is_declared() -> None:
    """Episodes 0 + 1 + 2 and 3 (its successor 4 is dropped): 3 and 3; with another reward, 3 and 8."""
    with pytest.raises(DataUnusable, match="same return"):
        reward_factor(taken(steps()), Rewards(return_range=1_000.0))
    other = taken(steps(reward=np.array([0, 1, 2, 8, 0, 0.0])))
    assert reward_factor(other, Rewards(return_range=1_000.0, factor=2.0)) == pytest.approx(2 * 1_000 / 5)
    assert reward_factor(other, Rewards(factor=2.0)) == 2.0


def test_paths_that_are_not_there(tmp_path: Path) -> None:
    from composer.environments import File, Minari

    with pytest.raises(DataUnusable, match=r"gone.npz does not exist \(.* does\)"):
        File(path=str(tmp_path / "gone.npz")).read()
    with pytest.raises(DataUnusable, match="minari download some/set-v0 may fetch it"):
        Minari(path="some/set-v0").digest()
    assert File(path=str(tmp_path / "gone.npz")).size() is None and Minari(path="some/set-v0").size() is None
