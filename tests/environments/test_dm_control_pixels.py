"""dm_control from pixels: pictures of the same episodes; skipped where this machine cannot draw."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from composer.environments import DmControl, EnvironmentFailure

pytestmark = pytest.mark.slow

SEEN = DmControl(task="cartpole-swingup", action_repeat=8, observe="pixels", height=32, width=48)


@pytest.fixture
def drawing() -> None:
    """Skip, with the machine's own reason, where there is nothing to draw with."""
    try:
        SEEN.make([0], "training").close()
    except EnvironmentFailure as failure:
        pytest.skip(failure.reason)


def draw_actions(count: int, n: int = 1) -> np.ndarray:
    return np.random.default_rng(2).uniform(-1, 1, (count, n, 1)).astype(np.float32)


@pytest.mark.usefixtures("drawing")
def test_pictures_are_those_of_the_same_episode_and_shift_by_one() -> None:
    """Alone compares rendered stacks with dm_control's own pictures."""
    told = SEEN.model_copy(update={"observe": "state"}).make([0], "training")
    seen = SEEN.make([0], "training")
    told.reset()
    before = seen.reset()
    assert (before.shape, before.dtype) == ((1, 9, 32, 48), np.uint8)
    np.testing.assert_array_equal(before[0, :3], before[0, 6:])
    for action in draw_actions(10):
        expected, got = told.step(action), seen.step(action)
        assert got.reward == expected.reward
        np.testing.assert_array_equal(got.observation[0, :6], before[0, 3:])
        task = told._rows._singles[0]  # type: ignore[attr-defined]
        np.testing.assert_array_equal(got.observation[0, 6:], task.draw(32, 48, 0).transpose(2, 0, 1))
        assert (got.observation[0, 6:] != before[0, 6:]).any()
        before = got.observation.copy()
    assert seen.render(0).shape == (240, 320, 3)


@pytest.mark.usefixtures("drawing")
def test_shadows_and_reflections_can_be_left_out() -> None:
    """Alone draws without them."""
    plain, bare = (SEEN.model_copy(update={"shadows": each}).make([0], "training") for each in (None, False))
    drawn, left = plain.reset()[0, :3].astype(int), bare.reset()[0, :3].astype(int)
    moved = np.abs(drawn - left)
    assert moved.max() > 5 and moved[:, :10].max() < 5, "the floor differs, the sky does not"
    np.testing.assert_array_equal(SEEN.model_copy(update={"shadows": True}).make([0], "training").reset()[0, :3], drawn)


@pytest.mark.usefixtures("drawing")
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_pictures_are_replayed_exactly(workers: int) -> None:
    """Alone proves exact resume from pixels, here and in workers."""
    environment = SEEN.model_copy(update={"workers": workers, "action_repeat": 100})
    actions = draw_actions(25, 2)
    vector, resumed = (environment.make([0, 1], "training") for _ in range(2))
    vector.reset()
    for action in actions[:13]:
        vector.step(action)
    np.testing.assert_array_equal(resumed.load_state(vector.state()), vector.state()["observations"])
    for action in actions[13:]:
        np.testing.assert_array_equal(resumed.step(action).observation, vector.step(action).observation)
    vector.close()
    resumed.close()


def test_describing_needs_no_machine_that_draws() -> None:
    """Alone proves that `check` and `show` of pixels need no way to draw."""
    info = SEEN.info
    assert (info.observation, info.pictures, info.stacked_frames, info.action_size) == ((9, 32, 48), True, 3, 1)
    state = DmControl(task="cartpole-swingup").info
    assert (state.pictures, state.stacked_frames) == (False, 0)


def test_a_machine_that_cannot_draw_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone proves that pixels without a way to draw end with an error before training."""
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    program = (
        "from composer.environments import DmControl, EnvironmentFailure\n"
        "try: DmControl(task='cartpole-swingup', observe='pixels').make([0], 'training')\n"
        "except EnvironmentFailure as failure: print(failure.reason)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith(
        "building it raised RenderingUnavailable: this machine cannot draw dm_control's pictures"
    ), ran.stderr


@pytest.mark.parametrize("named", ["osmesa", "nothing-of-the-kind"])
def test_state_needs_no_way_of_drawing(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone trains from state where MUJOCO_GL names what may not be there."""
    monkeypatch.setenv("MUJOCO_GL", named)
    program = (
        "import numpy as np\n"
        "from composer.environments import DmControl\n"
        "vector = DmControl(task='cartpole-swingup').make([0], 'training')\n"
        "vector.reset(); vector.step(np.zeros((1, 1), np.float32)); print('stepped')"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, encoding="utf-8", check=False)
    assert ran.stdout.endswith("stepped\n"), ran.stderr
