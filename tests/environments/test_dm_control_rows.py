"""Rows that MuJoCo steps together, held to the bit to the adapter that steps them one by one."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import mujoco
import numpy as np
import pytest

from composer.environments import DmControl, EnvironmentFailure
from composer.environments.interface import EnvironmentInfo, Step
from composer.environments.suites import dm_control_rewards
from composer.environments.suites.dm_control_rewards import ROW_TASKS
from composer.environments.suites.dm_control_rows import DmControlRows
from composer.environments.suites.dm_control_single import DmControlSingle, load_suite
from composer.environments.suites.task_tables import task_table
from composer.environments.vector.rows import LocalRows, RowArrays
from composer.environments.vector.vector import EpisodicVector

suite: Any = load_suite()
cartpole, walker = suite.cartpole, suite.walker
LENGTH = 45
"""Control steps of an episode; the action repeat does not divide it."""


def declared(task: str, **settings: Any) -> DmControl:
    return DmControl(task=task, action_repeat=2, **{"episode_env_steps": LENGTH, **settings})


def together(environment: DmControl, n: int, threads: int = 1) -> EpisodicVector:
    rows = DmControlRows(environment.info, environment._limited, n, threads)
    return EpisodicVector(environment.info, range(n), lambda: rows)


def one_by_one(environment: DmControl, seeds: Sequence[int]) -> EpisodicVector:
    info, n = environment.info, len(seeds)
    arrays = RowArrays.private(info, n)
    return EpisodicVector(info, seeds, lambda: LocalRows(environment.single, info.action_repeat, arrays, 0, n))


def drawn(info: EnvironmentInfo, count: int, n: int) -> np.ndarray:
    """Random actions ``[t, n, a]``, with runs of one sign, which drive bodies to their limits."""
    generator = np.random.default_rng(n)
    actions = generator.uniform(-1, 1, (count, n, info.action_size)).astype(np.float32)
    actions[count // 3 : count // 2] = np.sign(actions[count // 3])
    return actions


def assert_equal(got: Step, expected: Step) -> None:
    for name, one, other in zip(Step._fields, got, expected, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)


@pytest.mark.parametrize("task", ROW_TASKS)
def test_episodes_equal_the_adapters(task: str) -> None:
    """Observations, rewards, ends and resets, to the bit, before the sum is rounded to float32, too."""
    assert_same_course(task, n=3, compared=[0, 1, 2], decisions=50)


@pytest.mark.parametrize("task", ["cartpole-swingup", "walker-run"])
def test_no_number_depends_on_that_of_rows_or_threads(task: str) -> None:
    assert_same_course(task, n=1, compared=[0], decisions=28)
    assert_same_course(task, n=33, compared=[0, 15, 32], decisions=28, threads=2)


def test_walkers_are_stepped_by_the_threads_of_an_operation_and_lighter_bodies_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 4)
    walker, cartpole = (DmControl(task=task) for task in ("walker-run", "cartpole-swingup"))
    assert [walker._threads(n) for n in (2, 8)] == [2, 4] and cartpole._threads(8) == 1


def assert_same_course(task: str, n: int, compared: list[int], decisions: int, threads: int = 1) -> None:
    """Of the rows ``compared``, which the adapter steps under the same seeds."""
    environment = declared(task)
    native, single = together(environment, n, threads), one_by_one(environment, compared)
    np.testing.assert_array_equal(native.reset()[compared], single.reset())
    ends = 0
    for action in drawn(environment.info, decisions, n):
        got, expected = native.step(action), single.step(action[compared])
        assert_equal(Step(*(array[compared] for array in got)), expected)
        np.testing.assert_array_equal(native._rows.arrays.reward[compared], single._rows.arrays.reward)
        ends += int(got.truncated.sum())
    assert ends == decisions // environment.info.episode_interactions * n > 0


def test_rewards_equal_those_of_dm_controls_tasks_on_random_numbers() -> None:
    """Thousands of states, because a wrong square shows in one of a thousand."""
    generator = np.random.default_rng(0)
    cart, pole = cartpole.Balance(swing_up=True, sparse=False, random=0), walker.PlanarWalker(move_speed=8, random=0)
    for position, upright, velocity, control in generator.normal(0, 1, (3000, 4)):
        physics = SimpleNamespace(
            cart_position=lambda position=position: position,
            pole_angle_cosine=lambda upright=upright: np.array([upright]),
            angular_vel=lambda velocity=velocity: np.array([velocity]),
            control=lambda control=control: np.array([control]),
            torso_height=lambda position=position: position,
            torso_upright=lambda upright=upright: upright,
            horizontal_velocity=lambda velocity=velocity: 4 * velocity,
        )
        numbers = [float(number) for number in (position, upright, velocity, control)]
        assert dm_control_rewards._cartpole(*numbers) == cart.get_reward(physics)
        standing, moving = dm_control_rewards._walker_stands(*numbers[:2]), 4 * numbers[2]
        assert standing * (5 * dm_control_rewards._moves(moving, 8, 4, 0.5) + 1) / 6 == pole.get_reward(physics)


@pytest.mark.parametrize("task", ["cartpole-swingup", "cheetah-run"])
def test_states_are_exchanged_with_the_adapter_in_mid_episode(task: str) -> None:
    """Each kind of rows resumes from its own state and from that of the other."""
    environment = declared(task)
    actions = drawn(environment.info, 40, 2)
    made = [together(environment, 2), one_by_one(environment, range(2))]
    for vector in made:
        vector.reset()
        for action in actions[:30]:  # into the second episode
            vector.step(action)
    states = [vector.state() for vector in made]
    assert states[0]["lengths"].tolist() == [7, 7]
    resumed = [together(environment, 2), together(environment, 2)]
    resumed += [one_by_one(environment, range(2)), one_by_one(environment, range(2))]
    for vector, state in zip(resumed, [*states, *states], strict=True):
        np.testing.assert_array_equal(vector.load_state(state), states[0]["observations"])
    for action in actions[30:]:
        expected = made[1].step(action)
        for vector in [made[0], *resumed]:
            assert_equal(vector.step(action), expected)


def test_rows_replay_episodes_of_different_lengths() -> None:
    """As one by one: the shorter one waits where it ended, the one not begun at its first observation."""
    environment = declared("walker-walk")
    actions = drawn(environment.info, 12, 3)
    native, single = together(environment, 3)._rows, one_by_one(environment, range(3))._rows
    resets, taken = [(0, 5), (1, 6), (2, 7)], [actions[:12, 0], actions[:4, 1], actions[:0, 2]]
    for rows in (native, single):
        rows.replay(resets, taken)
    for name in ("observation", "reward", "steps"):
        np.testing.assert_array_equal(getattr(native.arrays, name), getattr(single.arrays, name))


def test_rows_are_stepped_together_where_two_observe_states_of_a_known_task() -> None:
    assert isinstance(declared("walker-walk").rows(2), DmControlRows)
    assert isinstance(declared("walker-walk").rows(1), LocalRows)
    assert isinstance(declared("finger-spin").rows(2), LocalRows)  # its reset edits the model
    assert isinstance(declared("walker-walk", observe="pixels").rows(2), LocalRows)


def test_no_task_edits_its_model_scales_actions_or_terminates() -> None:
    """What the rows rely on."""
    for name in ROW_TASKS:
        single = declared(name).single()
        assert isinstance(single, DmControlSingle) and single._scale is None
        assert not task_table("dm_control")[name].terminates
        before = model_bytes(single)
        single.reset(3)
        assert model_bytes(single) == before


def model_bytes(single: DmControlSingle) -> bytes:
    buffer = np.empty(mujoco.mj_sizeModel(single.model), np.uint8)
    mujoco.mj_saveModel(single.model, None, buffer)
    return buffer.tobytes()


def test_a_diverged_simulation_is_the_failure_of_its_row() -> None:
    vector = together(declared("walker-walk"), 3)
    vector.reset()
    rows: Any = vector._rows
    rows._batch.qpos[1, 2] = 1e12
    with pytest.raises(EnvironmentFailure, match="mjWARN_BADQPOS: the simulation has diverged") as failure:
        vector.step(np.zeros((3, 6), np.float32))
    assert failure.value.environment == 1
    vector.reset()
    vector.step(np.zeros((3, 6), np.float32))


def test_a_picture_is_of_the_row_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine cannot draw, the state that would be drawn is compared."""
    monkeypatch.setattr(DmControlSingle, "render", lambda single: single.data.xpos.copy())
    environment = declared("walker-walk")
    native, single = together(environment, 3), one_by_one(environment, range(3))
    for vector in (native, single):
        vector.reset()
    for action in drawn(environment.info, 10, 3):
        assert_equal(native.step(action), single.step(action))
        for row in range(3):
            np.testing.assert_array_equal(native.render(row), single.render(row))
