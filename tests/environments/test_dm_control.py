"""The dm_control adapter, held bit by bit to dm_control's own environment and, for the order of parts, to shimmy."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from composer.environments import DmControl, Simulator
from composer.environments.suites.dm_control_single import load_suite
from composer.environments.suites.task_tables import task_table
from composer.environments.vector.vector import episode_seed
from composer.spec.family import Spec
from composer.spec.random_streams import derive

# Both integrators, bounds of their own (quadruped), parts with two axes (manipulator), models edited by their reset.
TASKS = [
    "acrobot-swingup_sparse",
    "cartpole-swingup",
    "finger-turn_hard",
    "fish-swim",
    "humanoid-run",
    "manipulator-bring_ball",
    "quadruped-walk",
    "swimmer-swimmer6",
    "walker-walk",
]


class Holder(Spec):
    environment: Simulator


def draw_actions(task: str, count: int) -> np.ndarray:
    size = task_table("dm_control")[task].action_size
    return np.random.default_rng(1).uniform(-1, 1, (count, 1, size)).astype(np.float32)


def reference(task: str, episode: int, actions: np.ndarray, repeat: int) -> list[tuple[np.ndarray, np.float32, bool]]:
    """dm_control's own environment under the adapter's seed: (flat observation, reward, last) of each decision."""
    domain, name = task.split("-")
    random = np.random.RandomState(0)
    environment = load_suite().load(domain, name, task_kwargs={"random": random})
    seed = episode_seed(derive(0, "training"), episode)
    random.seed([seed >> 32, seed & 0xFFFFFFFF])
    environment.reset()
    low, high = environment.action_spec().minimum, environment.action_spec().maximum
    decisions = []
    for action in actions[:, 0].astype(np.float64):
        control = action * ((high - low) / 2) + (high + low) / 2
        total, last = 0.0, False
        for _ in range(repeat):
            if not last:
                moment = environment.step(control)
                total, last = total + moment.reward, moment.last()
        parts = [np.ravel(moment.observation[key]) for key in sorted(moment.observation)]
        decisions.append((np.concatenate(parts).astype(np.float32), np.float32(total), last))
        if last:
            assert moment.discount == 1.0
            break
    return decisions


LONG = {"humanoid-run", "quadruped-walk", "swimmer-swimmer6", "walker-walk"}
"""Whose physics take so long that whole episodes are no quick test."""


@pytest.mark.parametrize(
    "task", [pytest.param(task, marks=[pytest.mark.slow] if task in LONG else []) for task in TASKS]
)
def test_whole_episode_equals_dm_controls_own(task: str) -> None:
    """Alone compares the larger bodies with dm_control's own loop over a whole episode, bit by bit."""
    repeat = 2 if task in ("walker-walk", "cartpole-swingup") else 9
    actions = draw_actions(task, -(-1000 // repeat))
    vector = DmControl(task=task, action_repeat=repeat).make([0], "training")
    assert vector.reset().shape == (1, task_table("dm_control")[task].observation_size)
    expected = reference(task, 0, actions, repeat)
    assert len(expected) == vector.info.episode_interactions
    for action, (observation, reward, last) in zip(actions, expected, strict=True):
        step = vector.step(action)
        np.testing.assert_array_equal(step.final_observation[0], observation)
        assert step.reward[0] == reward
        assert (step.terminated[0], step.truncated[0]) == (False, last)
    assert step.episode_length[0] == 1000


@pytest.mark.parametrize("task", TASKS)
def test_state_in_mid_episode_continues_exactly(task: str) -> None:
    environment = DmControl(task=task)
    actions = draw_actions(task, 60)
    vector = environment.make([0], "training")
    vector.reset()
    for action in actions[:5]:  # an earlier episode leaves its traces in the model; they must not matter
        vector.step(action)
    vector.reset()
    for action in actions[:37]:
        vector.step(action)
    resumed = environment.make([0], "training")
    resumed.load_state(vector.state())
    for action in actions[37:]:
        expected, got = vector.step(action), resumed.step(action)
        np.testing.assert_array_equal(got.observation, expected.observation)
        assert got.reward == expected.reward and got.episode_return == expected.episode_return


@pytest.mark.filterwarnings("ignore")  # shimmy's own imports warn
@pytest.mark.parametrize("task", ["finger-turn_hard", "manipulator-bring_ball", "walker-walk", "humanoid-run"])
def test_order_of_observations_is_that_of_shimmy_and_gymnasium(task: str) -> None:
    load_suite()
    from gymnasium.wrappers import FlattenObservation
    from shimmy import DmControlCompatibilityV0

    domain, name = task.split("-")
    oracle: Any = FlattenObservation(DmControlCompatibilityV0(load_suite().load(domain, name)))
    vector = DmControl(task=task, action_repeat=1).make([0], "training")
    seed = episode_seed(derive(0, "training"), 0)
    oracle.unwrapped.np_random = np.random.RandomState([seed >> 32, seed & 0xFFFFFFFF])
    np.testing.assert_array_equal(vector.reset()[0], oracle.reset()[0].astype(np.float32))
    for action in draw_actions(task, 20):
        observation, reward, *_ = oracle.step(action[0].astype(np.float64))
        step = vector.step(action)
        np.testing.assert_array_equal(step.observation[0], observation.astype(np.float32))
        assert step.reward[0] == np.float32(reward)


def test_actions_are_scaled_to_the_tasks_bounds() -> None:
    single = DmControl(task="quadruped-walk").single()
    spec = single._environment.action_spec()  # type: ignore[attr-defined]
    assert (spec.minimum != -1.0).any()
    single.reset(0)
    for end, bound in ((-1.0, spec.minimum), (1.0, spec.maximum), (0.0, (spec.minimum + spec.maximum) / 2)):
        single.step(np.full(spec.shape, end, np.float32))
        np.testing.assert_allclose(single._physics.data.ctrl, bound, rtol=0, atol=1e-12)  # type: ignore[attr-defined]
    unbounded = DmControl(task="lqr-lqr_2_1").single()
    unbounded.reset(0)
    unbounded.step(np.full(1, 0.5, np.float32))
    assert unbounded._physics.data.ctrl.tolist() == [0.5]  # type: ignore[attr-defined]


def test_episodes_may_be_shorter_than_the_tasks_and_no_longer() -> None:
    declared = DmControl(task="point_mass-easy", action_repeat=2, episode_env_steps=5)
    made = declared.make([3], "training")
    made.reset()
    ends = [bool(made.step(np.zeros((1, 2), np.float32)).truncated[0]) for _ in range(6)]
    assert ends == [False, False, True] * 2 and declared.info.episode_env_steps == 5
    found = dict(DmControl(task="point_mass-easy", episode_env_steps=1001).problems(8, 10_000, 1))
    said = "point_mass-easy ends after 1,000 control steps: 1,001 are too many"
    assert found["environment.episode_env_steps"] == said


def test_lqr_is_one_task_and_gets_a_limit() -> None:
    first, second = (DmControl(task="lqr-lqr_6_2").single() for _ in range(2))
    stiffness = [single._physics.model.jnt_stiffness for single in (first, second)]  # type: ignore[attr-defined]
    np.testing.assert_array_equal(*stiffness)
    info = DmControl(task="lqr-lqr_6_2", action_repeat=100).info
    assert (info.episode_interactions, info.terminates) == (10, True)
    vector = DmControl(task="lqr-lqr_6_2", action_repeat=100).make([0], "training")
    vector.reset()
    ends = [vector.step(np.zeros((1, 2), np.float32)).truncated[0] for _ in range(10)]
    assert ends == [False] * 9 + [True]


def test_a_diverged_simulation_is_an_error() -> None:
    single = DmControl(task="cartpole-swingup").single()
    single.reset(0)
    single._physics.data.qvel[:] = 1e12  # type: ignore[attr-defined]
    with pytest.raises(FloatingPointError, match="MuJoCo warns of mjWARN_BADQ"):
        single.step(np.zeros(1, np.float32))


@pytest.mark.parametrize(
    ("task", "meant"),
    [
        ("walker_walk", "walker-walk"),
        ("cartpole-swingup-sparse", "cartpole-swingup_sparse"),
        ("cheetah", "cheetah-run"),
    ],
)
def test_unknown_task_names_the_near_one(task: str, meant: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Holder.model_validate({"environment": {"kind": "dm_control", "task": task}})
    (error,) = caught.value.errors()
    assert error["loc"] == ("environment", "task")
    assert error["msg"] == f"no dm_control task named '{task}'; did you mean '{meant}'?"


def test_declarations_round_trip_and_describe_without_a_simulator() -> None:
    held = Holder.model_validate({"environment": {"kind": "dm_control", "task": "dog-run", "copies": 2}})
    assert Holder.model_validate(held.model_dump()) == held
    program = (
        "import json, sys; from composer.environments import DmControl; info = DmControl(task='dog-run').info;"
        "print(json.dumps([info.observation, info.action_size, info.episode_interactions,"
        "[name for name in ('torch', 'numpy', 'dm_control', 'mujoco', 'gymnasium') if name in sys.modules]]))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert json.loads(printed) == [[223], 38, 500, []]


HEADLESS = """
import os
from composer.environments import DmControl, RenderingUnavailable
from composer.environments.suites import dm_control_single
if {broken}:
    dm_control_single._drawing_backend = lambda: "nonsense"
vector = DmControl(task="pendulum-swingup").make([0], "training")
vector.reset()
try:
    print(os.environ["MUJOCO_GL"], vector.render(0).shape)
except RenderingUnavailable as error:
    print(os.environ["MUJOCO_GL"], error)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chosen", "broken", "printed"),
    [
        ("disabled", False, "disabled this machine cannot draw dm_control's pictures (MUJOCO_GL=disabled)"),
        (None, True, "disabled this machine cannot draw dm_control's pictures (MUJOCO_GL=disabled)"),
        (None, False, ("egl (240, 320, 3)", "osmesa (240, 320, 3)", "disabled this machine cannot draw")),
    ],
    ids=["switched off", "broken", "as the machine can"],
)
def test_training_works_whatever_the_machine_can_draw(
    chosen: str | None, broken: bool, printed: str | tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone proves, in processes of their own, that training needs no way to draw."""
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    if chosen:
        monkeypatch.setenv("MUJOCO_GL", chosen)
    ran = subprocess.run([sys.executable, "-c", HEADLESS.format(broken=broken)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(printed), ran.stdout
