"""A floor whose colours tell the position; drawing is skipped where this machine cannot draw."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import pytest

from composer.environments import DmControl, EnvironmentFailure
from composer.environments.suites.dm_control_floor import position_colors
from composer.environments.suites.dm_control_single import DmControlSingle
from composer.environments.suites.task_tables import task_table


def declared(task: str, colored_floor: float | None = 15.0, **other: Any) -> DmControl:
    settings = {"observe": "pixels", "height": 32, "width": 32, "action_repeat": 2, **other}
    return DmControl(task=task, colored_floor=colored_floor, **settings)


def test_red_grows_with_rows_and_green_with_columns() -> None:
    colors = position_colors(4, 5)
    assert colors.shape == (4, 5, 3) and colors.dtype == np.uint8
    assert colors[:, 0, 0].tolist() == [0, 63, 127, 191] and colors[0, :, 1].tolist() == [0, 51, 102, 153, 204]
    assert (colors[..., 2] == 128).all()


def test_tasks_without_such_a_floor_and_states_are_refused() -> None:
    assert not list(declared("humanoid-run").problems(1, 1_000, 1))
    for refused in (declared("quadruped-escape"), declared("reacher-easy"), declared("walker-run", observe="state")):
        assert [key for key, _ in refused.problems(1, 1_000, 1)] == ["environment.colored_floor"]


@pytest.mark.parametrize("task", ["cheetah-run", "hopper-hop", "humanoid-run", "quadruped-run", "walker-run"])
def test_each_accepted_task_has_one_level_floor_with_a_material_of_its_own(task: str) -> None:
    """Nothing is drawn. The two bodies left out take long to load; their floors are written alike."""
    assert not list(declared(task).problems(1, 1_000, 1))
    single = DmControlSingle(task_table("dm_control")[task])
    single.paint_floor(15.0)
    model = single.model
    (floor,) = np.flatnonzero((model.geom_size[:, :2] == 15).all(-1))
    assert model.geom_bodyid[floor] == 0 and (model.geom_pos[floor, :2] == 0).all()
    assert np.flatnonzero(model.geom_matid == model.geom_matid[floor]).tolist() == [floor]
    texture = model.mat_texid[model.geom_matid[floor], mujoco.mjtTextureRole.mjTEXROLE_RGB]
    found = model.tex_data[model.tex_adr[texture] :][: 300 * 300 * 3].reshape(300, 300, 3)
    np.testing.assert_array_equal(found, position_colors(300, 300))
    single.close()


def test_states_are_what_they_are_without_it() -> None:
    """Of a walker that falls, whose own floor is centred 248 m away: to the bit, over 60 control steps."""
    plain, painted = (DmControlSingle(task_table("dm_control")["walker-run"]) for _ in range(2))
    painted.paint_floor(15.0)
    for single in (plain, painted):
        single.reset(3)
    contacts = 0
    for action in np.random.default_rng(0).uniform(-1, 1, (60, 6)).astype(np.float32):
        assert plain.step(action) == painted.step(action)
        np.testing.assert_array_equal(plain.data.qpos, painted.data.qpos)
        np.testing.assert_array_equal(plain.data.qvel, painted.data.qvel)
        contacts += plain.data.ncon
    assert contacts > 20
    plain.close()
    painted.close()


@pytest.mark.slow
def test_pictures_some_checks_apart_are_equal_without_it_and_tell_the_position_with_it() -> None:
    """Slow: draws. The checkered floor repeats every metre; green grows with x and red falls with y."""
    try:
        plain, painted = (seen(declared("quadruped-run", side, camera=2)) for side in (None, 15.0))
    except EnvironmentFailure as failure:
        pytest.skip(failure.reason)
    assert np.abs(plain[0] - plain[1]).max() <= 2 and np.abs(plain[0] - plain[2]).max() <= 2
    red, green = (painted[:, -4:, :, channel].mean((1, 2)) for channel in (0, 1))
    assert green[1] - green[0] > 50 and abs(red[1] - red[0]) < 3, "6 m along x"
    assert red[0] - red[2] > 50 and abs(green[2] - green[0]) < 3, "6 m along y"


def seen(environment: DmControl) -> np.ndarray:
    """Pictures of the same pose at (0, 0), (6, 0) and (0, 6), ``[3, height, width, 3]``."""
    vector = environment.make([0], "training")
    vector.reset()
    task, pictures = vector._rows._singles[0]._task, []  # type: ignore[attr-defined]
    for place in ((0, 0), (6, 0), (0, 6)):
        task.data.qpos[:2] = place
        mujoco.mj_forward(task.model, task.data)
        pictures.append(task.draw(32, 32, environment.camera).astype(int))
    vector.close()
    return np.array(pictures)
