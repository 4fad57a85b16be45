"""Where MuJoCo's own steppers lead, beside dm_control's ``step``: to the bit, or by how much not (decision 16).

All begin in mid-episode, where the contact solver's warm start is not zero. dm_control steps in another order (first
the second half of ``mj_step``, last the first half of the next one), which moves no number: only the warm start does.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import mujoco
import numpy as np
import pytest
from mujoco.batch import Batch
from mujoco.rollout import Rollout

from composer.environments.suites.dm_control_single import load_suite

TASKS = ["walker-walk", "cartpole-swingup"]  # Euler with contacts, Runge-Kutta without
BEFORE, STEPS, COPIES = 50, 100, 8
MEASURED = ("xpos", "xmat", "sensordata")
ROLLED, WHOLE = mujoco.mjtState.mjSTATE_FULLPHYSICS, mujoco.mjtState.mjSTATE_INTEGRATION


class Episode(NamedTuple):
    """A stretch of dm_control's own, ``STEPS`` control steps long."""

    model: Any
    substeps: int
    start: Any
    """mujoco.MjData before it."""
    actions: np.ndarray
    """``[t, a]``."""
    states: np.ndarray
    """``[t, positions and velocities]`` after every step."""
    measured: dict[str, np.ndarray]
    """``[t, ...]`` of what tasks observe and reward, by name."""


@cache
def episode(task: str, seed: int) -> Episode:
    domain, name = task.split("-")
    environment: Any = load_suite().load(domain, name, task_kwargs={"random": seed})
    environment.reset()
    model, data = environment.physics.model.ptr, environment.physics.data.ptr
    actions = np.random.default_rng(seed).uniform(-1, 1, (BEFORE + STEPS, model.nu))
    for action in actions[:BEFORE]:
        environment.step(action)
    start = mujoco.MjData(model)
    mujoco.mj_setState(model, start, state_of(model, data, WHOLE), WHOLE)
    assert start.qacc_warmstart.any()
    states, measured = [], []
    for action in actions[BEFORE:]:
        environment.step(action)
        states.append(joined(data))
        measured.append({field: getattr(data, field).copy() for field in MEASURED})
    told = {field: np.array([each[field] for each in measured]) for field in MEASURED}
    substeps = round(environment.control_timestep() / environment.physics.timestep())
    return Episode(model, substeps, start, actions[BEFORE:], np.array(states), told)


def state_of(model: Any, data: Any, kind: mujoco.mjtState) -> np.ndarray:
    state = np.empty(mujoco.mj_stateSize(model, kind))
    mujoco.mj_getState(model, data, state, kind)
    return state


def joined(data: Any) -> np.ndarray:
    return np.concatenate([data.qpos, data.qvel])


def moved(model: Any, rolled: np.ndarray) -> np.ndarray:
    """Positions and velocities of states ``[..., s]``, which begin with the time."""
    return rolled[..., 1 : 1 + model.nq + model.nv]


def rolled_step_by_step(told: Episode, carried: bool) -> np.ndarray:
    """A control step a call, with or without the warm start of the one before."""
    data, state = mujoco.MjData(told.model), state_of(told.model, told.start, ROLLED)[None]
    warm: np.ndarray = told.start.qacc_warmstart[None].copy()
    reached = []
    with Rollout(nthread=0) as pool:
        for action in told.actions:
            control = np.repeat(action[None, None], told.substeps, axis=1)
            states, _ = pool.rollout(
                told.model, data, state, control, initial_warmstart=warm if carried else None, nstep=told.substeps
            )
            state, warm = states[:, -1].copy(), data.qacc_warmstart[None].copy()
            reached.append(moved(told.model, state[0]))
    return np.array(reached)


@pytest.mark.parametrize("task", TASKS)
def test_bare_steps_equal_dm_controls_to_the_bit(task: str) -> None:
    told = episode(task, 1)
    data = mujoco.MjData(told.model)
    mujoco.mj_setState(told.model, data, state_of(told.model, told.start, WHOLE), WHOLE)
    for action, expected in zip(told.actions, told.states, strict=True):
        data.ctrl[:] = action
        mujoco.mj_step(told.model, data, told.substeps)
        np.testing.assert_array_equal(joined(data), expected)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("task", TASKS)
def test_rollout_in_one_call_equals_dm_controls_to_the_bit(task: str, threads: int) -> None:
    """It carries the warm start within a call; at the call's start it has to be given."""
    told = [episode(task, seed) for seed in range(COPIES)]
    model, substeps = told[0].model, told[0].substeps
    with Rollout(nthread=threads if threads > 1 else 0) as pool:
        states, _ = pool.rollout(
            model,
            [mujoco.MjData(model) for _ in range(threads)],
            np.array([state_of(model, each.start, ROLLED) for each in told]),
            np.array([np.repeat(each.actions, substeps, axis=0) for each in told]),
            initial_warmstart=np.array([each.start.qacc_warmstart for each in told]),
        )
    reached = moved(model, states[:, substeps - 1 :: substeps])
    np.testing.assert_array_equal(reached, [each.states for each in told])


@pytest.mark.parametrize("task", TASKS)
def test_rollout_step_by_step_equals_dm_controls_where_the_warm_start_is_carried(task: str) -> None:
    told = episode(task, 1)
    np.testing.assert_array_equal(rolled_step_by_step(told, carried=True), told.states)


def test_without_the_warm_start_contacts_differ_by_rounding_which_grows() -> None:
    """The walker's, from the first steps on: 4e-15 there, 3e-11 after a hundred."""
    told = episode("walker-walk", 1)
    apart = np.abs(rolled_step_by_step(told, carried=False) - told.states).max(axis=1)
    assert 0 < apart[:10].max() < 1e-11 < apart.max() < 1e-7
    # A cart that touches no end of its rail has no constraint to solve.
    free = episode("cartpole-swingup", 1)
    np.testing.assert_array_equal(rolled_step_by_step(free, carried=False), free.states)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("task", TASKS)
def test_batch_equals_dm_controls_to_the_bit_with_all_that_tasks_measure(task: str, threads: int) -> None:
    told = [episode(task, seed) for seed in range(COPIES)]
    batch = begun(told, threads)
    measured = {field: batch.bind(field) for field in MEASURED}
    for t in range(STEPS):
        batch.ctrl = np.array([each.actions[t] for each in told])
        batch.step(nstep=told[0].substeps, stage=int(mujoco.mjtStage.mjSTAGE_VEL))
        reached = np.concatenate([batch.bind("qpos"), batch.bind("qvel")], axis=1)
        np.testing.assert_array_equal(reached, [each.states[t] for each in told])
        for field, values in measured.items():
            np.testing.assert_array_equal(values, [each.measured[field][t] for each in told])


def test_batch_measures_a_substep_late_unless_told_to_catch_up() -> None:
    told = [episode("walker-walk", 1)]
    batch = begun(told, threads=1)
    sensors = batch.bind("sensordata")
    batch.ctrl = told[0].actions[:1]
    batch.step(nstep=told[0].substeps)
    np.testing.assert_array_equal(batch.bind("qpos")[0], told[0].states[0, : told[0].model.nq])
    assert np.abs(sensors[0] - told[0].measured["sensordata"][0]).max() > 1e-3


def begun(told: list[Episode], threads: int) -> Any:
    batch = Batch(told[0].model, len(told), threads, persistent=True)
    batch.state[:] = [state_of(each.model, each.start, WHOLE) for each in told]
    return batch
