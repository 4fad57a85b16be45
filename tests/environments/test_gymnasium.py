"""Environments by Gymnasium id: equal to Gymnasium's own, spaces told as vectors or pictures, clear refusals."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import registered_environments  # noqa: F401 - what a program has imported, a blueprint may name
from gymnasium import spaces
from pydantic import ValidationError

from composer.environments import Gymnasium, RenderingUnavailable, Simulator
from composer.environments.interface import SpacesUnknown, UnusableEnvironment
from composer.environments.suites.gymnasium_make import PLACES
from composer.environments.suites.gymnasium_spaces import observation_layout
from composer.environments.suites.task_tables import task_table
from composer.environments.vector.vector import episode_seed
from composer.spec.family import Spec
from composer.spec.random_streams import derive

MODULE = "registered_environments"


class Holder(Spec):
    environment: Simulator


def gymnasium_seed(episode: int) -> int:
    return episode_seed(derive(0, "training"), episode) >> 32


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1", "MountainCarContinuous-v0", "FrozenLake-v1"])
def test_episodes_equal_gymnasiums_own(name: str) -> None:
    vector, oracle = Gymnasium(id=name).make([0], "training"), gymnasium.make(name)
    info, draw, episode = vector.info, np.random.default_rng(3), 0

    def flat(raw: Any) -> np.ndarray:
        return np.asarray(spaces.flatten(oracle.observation_space, raw), np.float32)

    observed, _ = oracle.reset(seed=gymnasium_seed(0))
    np.testing.assert_array_equal(vector.reset()[0], flat(observed))
    for _ in range(260):
        if info.discrete:
            choice: Any = int(draw.integers(info.action_size))
            action = np.eye(info.action_size, dtype=np.float32)[[choice]]
        else:
            action = draw.uniform(-1, 1, (1, info.action_size)).astype(np.float32)
            choice = action[0] * oracle.action_space.high  # type: ignore[attr-defined]
        observed, reward, terminated, truncated, _ = oracle.step(choice)
        step = vector.step(action)
        np.testing.assert_array_equal(step.final_observation[0], flat(observed))
        assert step.reward[0] == np.float32(reward)
        assert (step.terminated[0], step.truncated[0]) == (terminated, truncated and not terminated)
        if terminated or truncated:
            episode += 1
            observed, _ = oracle.reset(seed=gymnasium_seed(episode))
        np.testing.assert_array_equal(step.observation[0], flat(observed))
    assert episode > 0 or name.startswith("Mountain")
    vector.close()
    oracle.close()


def test_pictures_get_their_channels_first_and_choices_their_start() -> None:
    environment = Gymnasium(module=MODULE, id="test/Painted-v0", kwargs={"stop": 6})
    environment.discover()
    info = environment.info
    assert (info.observation, info.pictures, info.discrete, info.action_size) == ((3, 12, 10), True, True, 3)
    vector = environment.make([0], "training")
    assert vector.reset()[0, :, 0, 0].tolist() == [0, 100, 200]
    step = vector.step(np.eye(3, dtype=np.float32)[[2]])
    assert step.reward[0] == 7.0 and step.observation.dtype == np.uint8
    assert step.observation[0, :, 0, 0].tolist() == [1, 100, 200]
    step = vector.step(np.eye(3, dtype=np.float32)[[1]])
    assert step.terminated[0] and step.final_observation[0, 0, 0, 0] == 2 and step.observation[0, 0, 0, 0] == 0
    with pytest.raises(RenderingUnavailable, match="cannot draw here: render raised NotImplementedError"):
        vector.render(0)


@pytest.mark.parametrize(
    ("shape", "told"), [((9, 7), (1, 9, 7)), ((9, 7, 3), (3, 9, 7)), ((4, 9, 7), (4, 9, 7)), ((9, 7, 1), (1, 9, 7))]
)
def test_channels_are_the_shorter_outer_axis(shape: tuple[int, ...], told: tuple[int, ...]) -> None:
    layout = observation_layout(spaces.Box(0, 255, shape, np.uint8))
    picture = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    assert (layout.shape, layout.convert(picture).shape) == (told, told)
    assert (
        layout.convert(picture)[0, 1, 0]
        == picture[(1, 0) if len(shape) == 2 else (0, 1, 0) if shape == told else (1, 0, 0)]
    )


def test_dictionaries_are_flattened_and_finite_bounds_scaled_to() -> None:
    environment = Gymnasium(module=MODULE, id="test/Shapes-v0", episode_env_steps=3)
    environment.discover()
    info = environment.info
    assert (info.observation, info.action_size, info.discrete, info.episode_env_steps) == ((6,), 4, False, 3)
    vector = environment.make([0], "training")
    np.testing.assert_array_equal(vector.reset()[0], np.float32([0.25, -0.5, 0, 0, 1, 0]))
    told = []
    for value in (-1.0, 0.5, 1.0):
        step = vector.step(np.full((1, 4), value, np.float32))
        told.append((float(step.reward[0]), bool(step.truncated[0])))
    rewards = (0 - 100 - 4000 - 10000, 7.5 + 50 - 1000 + 5000, 10 + 100 - 0 + 10000)
    assert told == list(zip(rewards, (False, False, True), strict=True))


@pytest.mark.parametrize(
    ("table", "key", "message"),
    [
        ({"id": "CartPol-v1"}, "id", "no environment registered as 'CartPol-v1'; did you mean 'CartPole-v1'?"),
        ({"id": "CartPole"}, "id", "no environment registered as 'CartPole'; did you mean 'CartPole-v"),
        ({"id": "LunarLander-v3"}, "id", "LunarLander-v3 needs a package that is not installed: Box2D"),
        ({"id": "CartPole-v1", "kwargs": {"mass": 1}}, "kwargs", "CartPole-v1 cannot be built: TypeError: "),
        (
            {"id": "Blackjack-v1"},
            "episode_env_steps",
            "Blackjack-v1 has no time limit of its own: give the",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_where_it_is_declared(table: dict[str, object], key: str, message: str) -> None:
    if table["id"] == "LunarLander-v3":
        try:
            import Box2D  # type: ignore[import-not-found,import-untyped,unused-ignore] # noqa: F401
        except ImportError:
            pass
        else:
            pytest.skip("Box2D is installed here")
    with pytest.raises(ValidationError) as caught:
        Holder.model_validate({"environment": {"kind": "gymnasium", **table}})
    (error,) = caught.value.errors()
    assert error["loc"] == ("environment", key)
    assert error["msg"].startswith(message)


@pytest.mark.parametrize(
    ("table", "key", "message"),
    [
        ({"id": "x", "module": "no_such"}, "module", "module 'no_such' is not installed, and no folder on PYTHONPATH"),
        (
            {"id": "test/Unfit-v0", "module": MODULE, "kwargs": {"observed": True}},
            "id",
            "test/Unfit-v0: observation in Sequence(Discrete(2), stack=False) has no fixed size",
        ),
        (
            {"id": "test/Unfit-v0", "module": MODULE, "kwargs": {"observed": False}},
            "id",
            "test/Unfit-v0: actions in MultiDiscrete([2 2]) are neither a choice (Discrete) nor numbers (Box",
        ),
    ],
)
def test_what_only_building_tells_is_refused_when_it_is_built(table: dict[str, Any], key: str, message: str) -> None:
    environment = Gymnasium(**table)
    with pytest.raises(SpacesUnknown):
        environment.info  # noqa: B018
    with pytest.raises(UnusableEnvironment) as caught:
        environment.discover()
    assert caught.value.key == key and str(caught.value).startswith(message)


def test_declarations_round_trip_and_an_environment_is_built_once_to_describe_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = {"kind": "gymnasium", "id": "FrozenLake-v1", "kwargs": {"map_name": "4x4"}, "episode_env_steps": 17}
    held = Holder.model_validate({"environment": table})
    monkeypatch.setattr(gymnasium, "make", None)
    assert Holder.model_validate(held.model_dump()) == held
    assert held.environment.info.episode_env_steps == 17


def test_the_table_of_mujoco_has_what_its_tasks_tell_when_they_are_built() -> None:
    for name, task in task_table("gymnasium").items():
        told = Gymnasium(id=name).info
        built = gymnasium.make(name, disable_env_checker=True)
        assert (told.observation, told.action_size) == (built.observation_space.shape, *built.action_space.shape)
        assert built.spec is not None
        assert told.episode_env_steps == built.spec.max_episode_steps == task.episode_env_steps
        assert built.unwrapped.dt == pytest.approx(task.control_seconds)  # type: ignore[attr-defined]
        built.close()


def test_sizes_with_the_place_are_those_of_the_built_task(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {"exclude_current_positions_from_observation": False}
    sizes = {f"{name}-v5": gymnasium.make(f"{name}-v5", **shown).observation_space.shape for name in PLACES}
    monkeypatch.setattr(gymnasium, "make", None)
    assert {name: Gymnasium(id=name, kwargs=shown).info.observation for name in sizes} == sizes


def test_attributes_are_other_physics() -> None:
    """A pole pushed twice as hard moves twice as fast; what the environment has not is refused."""
    strong = Gymnasium(id="CartPole-v1", attributes={"force_mag": 20.0})
    speeds = []
    for declared in (Gymnasium(id="CartPole-v1"), strong):
        single = declared.single()
        single.reset(1)
        before = single.observe()[1]
        single.step(np.array([0.0, 1.0], np.float32))
        speeds.append(single.observe()[1] - before)
    assert speeds[1] == pytest.approx(2 * speeds[0], rel=0.01)
    with pytest.raises(ValidationError, match="CartPole-v1 has no number 'gravitty'; did you mean 'gravity'"):
        Gymnasium(id="CartPole-v1", attributes={"gravitty": 1.0})
