"""One contract for every kind of environment, in this process and in workers (Atari: threads).

Each is run once, for a while, over several episodes; the tests look at what was told.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
import registered_environments  # noqa: F401 - what a program has imported, a blueprint may name
from stand_ins import install
from walking import Walking

from composer.environments import (
    Atari,
    Craftax,
    DmControl,
    Environment,
    EnvironmentFailure,
    EnvironmentInfo,
    Gymnasium,
    HumanoidBench,
    InvalidAction,
    MinAtar,
    MyoSuite,
    OGBench,
    Playground,
    Point,
    Simulator,
    Step,
    VectorEnvironment,
)
from composer.environments.interface import UnusableEnvironment
from composer.environments.suites import atari_rows

SEEDS = [3, 8]
FIRST = 5
"""The number of the episodes that are begun with."""

ENVIRONMENTS: dict[str, tuple[Simulator, int]] = {
    "dm_control": (DmControl(task="cartpole-swingup", action_repeat=70), 40),
    "choice": (Gymnasium(id="CartPole-v1"), 80),
    "numbers": (Gymnasium(id="Pendulum-v1", action_repeat=24), 30),
    "pictures": (Gymnasium(module="registered_environments", id="test/Painted-v0"), 30),
    "success": (
        Gymnasium(module="registered_environments", id="test/Target-v0", success={"info": "won"}, action_repeat=2),  # type: ignore[arg-type]
        40,
    ),
    "ogbench": (OGBench(task="pointmaze-teleport", action_repeat=3, episode_env_steps=20), 30),
    "myosuite": (MyoSuite(task="myoElbowPose1D6MRandom-v0", action_repeat=3, episode_env_steps=20), 30),
    "humanoid_bench": (HumanoidBench(task="h1-reach-v0", action_repeat=3, episode_env_steps=20), 30),
    "functions": (Walking(), 40),
    "playground": (Playground(task="CartpoleBalance", episode_env_steps=12), 40),
    "craftax": (Craftax(game="classic", episode_env_steps=12), 40),
    "atari": (Atari(game="pong", protocol="machado2018", frame_limit=90, noop_starts=30), 60),
    "atari lives": (Atari(game="breakout", protocol="atari100k", action_repeat=12, frame_limit=1200), 260),
    "skills": (
        Point(episode_env_steps=11, action_repeat=2, skills={"size": 3}, coverage={"coordinates": [0]}),  # type: ignore[arg-type]
        30,
    ),
    "minatar": (MinAtar(game="asterix", action_repeat=3, episode_env_steps=200), 150),
}
"""Each kind with how many decisions to run it; action repeats and time limits do not divide. Every kind is listed."""
WITHOUT_WORKERS = {"humanoid_bench", "functions", "craftax", "playground"}
"""A stand-in, which worker processes do not have, and environments that step in one call."""
ELSEWHERE = {"simulator_phases", "multitask", "offline"}
"""Kinds around other kinds, which are held to the contract here: tests of their own hold them to theirs."""


REPEATED = {("ogbench", 2), ("myosuite", 2), ("numbers", 2), ("success", 2), ("pictures", 2), ("atari lives", 2)}
"""Whose worker processes, or threads, are those of another kind: they take long to start, and show little more."""


class Course(NamedTuple):
    """What one vector told: first observations, then each decision's action and result, and the state in between."""

    environment: Simulator
    vector: VectorEnvironment
    first: np.ndarray
    actions: np.ndarray
    steps: list[Step]
    solved: list[np.ndarray]
    states: list[dict[str, np.ndarray]]


def draw_actions(environment: Simulator, count: int, n: int) -> np.ndarray:
    info, draw = environment.info, np.random.default_rng(4)
    if info.discrete:
        return np.eye(info.action_size, dtype=np.float32)[draw.integers(0, info.action_size, (count, n))]
    return draw.uniform(-1, 1, (count, n, info.action_size)).astype(np.float32)


def run(
    vector: VectorEnvironment, actions: np.ndarray
) -> tuple[np.ndarray, list[Step], list[np.ndarray], list[dict[str, np.ndarray]]]:
    first, steps, solved, states = vector.reset(episode=FIRST).copy(), [], [], []
    for action in actions:
        steps.append(Step(*(array.copy() for array in vector.step(action))))
        solved.append(vector.solved().copy())
        states.append(vector.state())
    return first, steps, solved, states


@pytest.fixture(scope="module", autouse=True)
def _games_are_loaded_anew() -> Iterator[None]:
    """Every game has a seed of its own; those that go on without being loaded are in test_atari.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atari_rows, "RELOADED_AFTER", 0)
        yield


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(case, marks=[pytest.mark.slow] if case in REPEATED else [])
        for case in itertools.product(ENVIRONMENTS, (0, 2))
        if not (case[1] and case[0] in WITHOUT_WORKERS)
    ],
    ids=lambda case: f"{case[0]}, {case[1]} workers",
)
def course(request: pytest.FixtureRequest) -> Iterator[Course]:
    name, workers = request.param
    declared, count = ENVIRONMENTS[name]
    environment = declared.model_copy(update={"workers": workers})
    if name == "humanoid_bench":
        patch = pytest.MonkeyPatch()
        install(patch, "humanoid_bench", {"h1-reach-v0": (57, 19, 1000)}, "")
        request.addfinalizer(patch.undo)
    try:
        vector = environment.make(SEEDS, "training")
    except UnusableEnvironment as refused:
        assert refused.key == "kind" and "pip install " in str(refused)
        pytest.skip(str(refused))
    actions = draw_actions(environment, count, len(SEEDS))
    yield Course(environment, vector, *[(told := run(vector, actions))[0], actions, *told[1:]])
    vector.close()


def lengths_in(state: dict[str, np.ndarray]) -> np.ndarray:
    """Decisions of the running episodes."""
    return state["lengths"] if "lengths" in state else state["decisions"]


def ended(step: Step) -> np.ndarray:
    return step.terminated | step.truncated


def test_shapes_and_types_are_those_described(course: Course) -> None:
    """With two workers: that processes change nothing of it."""
    info, n = course.environment.info, len(SEEDS)
    assert course.vector.info == info and course.vector.n == n
    kind = np.uint8 if info.pictures else np.float32
    assert (course.first.shape, course.first.dtype) == ((n, *info.observation), kind)
    types = (kind, kind, np.float32, np.bool_, np.bool_, np.float64, np.int64)
    for step in course.steps:
        assert tuple(array.dtype for array in step) == types
        assert all(array.shape == ((n, *info.observation) if at < 2 else (n,)) for at, array in enumerate(step))


def test_episodes_end_in_one_way_and_never_after_their_limit(course: Course) -> None:
    """With two workers: that processes change nothing of it."""
    info, terminated, truncated = course.environment.info, 0, 0
    for step in course.steps:
        assert not (step.terminated & step.truncated).any()
        assert (step.episode_length <= info.episode_env_steps).all()
        terminated, truncated = terminated + step.terminated.sum(), truncated + step.truncated.sum()
        if not (isinstance(course.environment, Atari) and course.environment.life_loss_ends):
            np.testing.assert_array_equal(
                step.truncated, (step.episode_length == info.episode_env_steps) & ~step.terminated
            )
    assert terminated + truncated >= 4
    assert info.terminates or not terminated


def test_every_decision_counts_once_and_no_reset_is_a_decision(course: Course) -> None:
    """Returns and lengths are sums over exactly the decisions since the last end: nothing else was stepped."""
    total, length, repeat = np.zeros(len(SEEDS)), np.zeros(len(SEEDS)), course.environment.action_repeat
    for step in course.steps:
        total, before = total + step.reward, length
        length = step.episode_length
        np.testing.assert_allclose(step.episode_return, total, rtol=1e-6, atol=1e-6)
        whole = ~ended(step)
        np.testing.assert_array_equal((length - before)[whole], repeat)
        assert ((length - before > 0) & (length - before <= repeat)).all()
        total, length = total * whole, length * whole


def test_success_is_counted_within_its_episode_where_it_is_told(course: Course) -> None:
    """Never more often than there were steps and decisions, and never fewer than before in the same episode."""
    if not course.environment.info.tells_success:
        assert not np.any(course.solved)
        return
    before = np.zeros((len(SEEDS), 2), int)
    for step, solved in zip(course.steps, course.solved, strict=True):
        assert solved.shape == (len(SEEDS), 2) and solved.dtype == np.int64
        assert (solved >= before).all() and (solved[:, 1] <= solved[:, 0] + (solved[:, 1] > 0)).all()
        assert (solved[:, 0] <= step.episode_length).all()
        before = np.where(ended(step)[:, None], 0, solved)
    assert np.any(course.solved) or not isinstance(course.environment, Gymnasium)


def test_what_an_action_led_to_is_kept_and_the_next_episode_begins_beside_it(course: Course) -> None:
    """Acting goes on from ``observation``; what is learned from is ``final_observation``, the last of its episode."""
    other = course.environment.model_copy(update={"workers": 0}).make(SEEDS, "training")
    begun = {FIRST: other.reset(episode=FIRST)}
    np.testing.assert_array_equal(course.first, begun[FIRST])
    frames = course.environment.info.stacked_frames
    numbers, before = np.full(len(SEEDS), FIRST), course.first
    for step, state in zip(course.steps, course.states, strict=True):
        went_on = ended(step) & (state["episodes"] == numbers)
        numbers = state["episodes"].copy()
        if frames:  # each decision adds a frame and drops one
            each = before.shape[1] // frames
            np.testing.assert_array_equal(step.final_observation[:, :-each], before[:, each:])
            before = step.observation
        for row in range(len(SEEDS)):
            if not ended(step)[row]:
                np.testing.assert_array_equal(step.observation[row], step.final_observation[row])
                continue
            assert (step.observation[row] != step.final_observation[row]).any()
            if went_on[row]:
                np.testing.assert_array_equal(step.observation[row, -each:], step.final_observation[row, -each:])
                assert not step.observation[row, :-each].any()
            else:
                number = int(numbers[row])
                if number not in begun:
                    begun[number] = other.reset(episode=number)
                np.testing.assert_array_equal(step.observation[row], begun[number][row])
    lives = isinstance(course.environment, Atari) and course.environment.life_loss_ends
    went_on_somewhere = [
        (ended(step) & (lengths_in(state) > 0)).any() for step, state in zip(course.steps, course.states, strict=True)
    ]
    assert any(went_on_somewhere) == lives
    other.close()


def test_a_seed_decides_everything(course: Course) -> None:
    """With two workers: that processes change nothing of it."""
    here = course.environment.model_copy(update={"workers": 0})
    alone = here.make(SEEDS[1:], "training")
    first, steps, solved, _ = run(alone, course.actions[:, 1:])
    np.testing.assert_array_equal(np.array(solved), np.array(course.solved)[:, 1:])
    np.testing.assert_array_equal(first, course.first[1:])
    for got, expected in zip(steps, course.steps, strict=True):
        for name in got._fields:
            np.testing.assert_array_equal(getattr(got, name), getattr(expected, name)[1:], err_msg=name)
    alone.close()
    twin = here.make([SEEDS[0], 99], "training")
    same = np.repeat(course.actions[:12, :1], 2, axis=1)
    first, steps, _, _ = run(twin, same)
    differ = [(told[0] != told[1]).any() for told in (first, *(step.final_observation for step in steps))]
    assert any(differ), "two seeds under the same actions"
    np.testing.assert_array_equal(steps[-1].final_observation[0], course.steps[11].final_observation[0])
    twin.close()


def test_actions_out_of_their_space_are_refused_and_change_nothing(course: Course) -> None:
    """With two workers: that processes change nothing of it."""
    vector, info = course.vector, course.environment.info
    before = vector.state()
    good = course.actions[0]
    wrong = [good[:1], good[:, :-1] if info.action_size > 1 else good[:, [0, 0]], good * np.nan, good * 0 + 1.01]
    if info.discrete:
        wrong += [good * 0, good * 0 + 1, good * 0.5, -good]
    for action in wrong:
        with pytest.raises(InvalidAction):
            vector.step(action.astype(np.float32))
    for name, array in vector.state().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_a_state_in_mid_episode_continues_exactly(course: Course) -> None:
    """With two workers: that processes change nothing of it."""
    lengths = np.array([lengths_in(state) for state in course.states])
    moment = int(np.argmax((lengths.min(axis=1) > 0) & (np.arange(len(lengths)) >= len(lengths) // 2)))
    resumed = course.environment.model_copy(update={"workers": 0}).make(SEEDS, "training")
    observation = resumed.load_state(course.states[moment])
    np.testing.assert_array_equal(observation, course.steps[moment].observation)
    for action, expected in zip(course.actions[moment + 1 :], course.steps[moment + 1 :], strict=True):
        got = resumed.step(action)
        for name in got._fields:
            np.testing.assert_array_equal(getattr(got, name), getattr(expected, name), err_msg=name)
    np.testing.assert_array_equal(resumed.solved(), course.solved[-1])
    resumed.close()
    # And in the vector that has gone on since.
    np.testing.assert_array_equal(course.vector.load_state(course.states[moment]), observation)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["choice", pytest.param("dm_control", marks=pytest.mark.slow)])
def test_a_hung_environment_is_reported(name: str) -> None:
    """Alone waits out the time limit of a worker for these kinds."""
    environment = ENVIRONMENTS[name][0].model_copy(update={"workers": 2, "timeout_seconds": 2.0})
    vector = environment.make(SEEDS, "training")
    vector.reset()
    state = vector.state()
    os.kill(vector._rows._workers[1].process.pid, signal.SIGSTOP)  # type: ignore[attr-defined]
    with pytest.raises(EnvironmentFailure, match=r"environment 1 .* no answer within 2 s"):
        vector.step(draw_actions(environment, 1, 2)[0])
    np.testing.assert_array_equal(vector.state()["lengths"], state["lengths"])
    vector.close()


def test_every_kind_of_simulator_is_held_to_the_contract() -> None:
    """A new kind of composer's is listed above, or this fails."""
    own = {kind for kind, cls in Environment.kinds().items() if cls.is_simulator and cls.__module__[:9] == "composer."}
    assert own - ELSEWHERE == {declared.kind for declared, _ in ENVIRONMENTS.values() if declared.kind in own}


def test_an_environment_is_described_once_and_a_changed_copy_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    describe = DmControl.describe

    def counted(environment: DmControl) -> EnvironmentInfo:
        calls.append(environment.action_repeat)
        return describe(environment)

    monkeypatch.setattr(DmControl, "describe", counted)
    environment = DmControl(task="walker-walk", action_repeat=2)
    assert environment.info is environment.info
    assert environment.model_copy(update={"action_repeat": 4}).info.action_repeat == 4
    assert calls == [2, 4]
