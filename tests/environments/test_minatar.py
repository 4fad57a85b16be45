"""MinAtar's games held to the package's own environment, step by step; where ours differs on purpose; the table."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from composer.blueprint import check
from composer.environments import MinAtar
from composer.environments.interface import UnusableEnvironment
from composer.environments.suites.minatar_single import MinAtarSingle
from composer.environments.suites.task_tables import minatar_table, suite
from composer.spec.package_files import blueprints_root

SEED = (5 << 32) + 11


def one_hot(size: int, count: int) -> np.ndarray:
    return np.eye(size, dtype=np.float32)[np.random.default_rng(0).integers(0, size, count)]


@pytest.fixture(scope="module", params=minatar_table())
def game(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("full_actions", [True, False])
def test_an_episode_is_that_of_a_new_environment_of_the_package(game: str, full_actions: bool) -> None:
    """Observations, rewards and ends of 12 episodes, under sticky actions and ramping; and one picture of a film."""
    from minatar.gym import BaseEnv

    declared = MinAtar(game=game, full_actions=full_actions)
    ours, size, returned, ends = declared.single(), declared.info.action_size, 0.0, 0
    for episode in range(2 if game == "freeway" else 12):
        theirs = BaseEnv(game, render_mode="rgb_array", use_minimal_action_set=not full_actions)
        assert theirs.action_space.n == size
        expected, _ = theirs.reset(seed=[5, 11 + episode])
        ours.reset(SEED + episode)
        for action in one_hot(size, 2_600 if game == "freeway" else 400):
            np.testing.assert_array_equal(ours.observe(), expected.transpose(2, 0, 1))
            expected, reward, done, _, _ = theirs.step(int(action.argmax()))
            got = ours.step(action)
            assert got == (reward, done, False) and [type(each) for each in got] == [float, bool, bool]
            returned += got[0]
            if done:
                break
        ends += done
        np.testing.assert_array_equal(ours.observe(), expected.transpose(2, 0, 1))
        picture = ours.render()
        assert picture.shape == (240, 240, 3)
        np.testing.assert_allclose(picture[::24, ::24] / 255, theirs.render(), atol=1 / 255)
    assert ends and (returned or game == "freeway")


def test_no_action_of_an_episode_reaches_the_next() -> None:
    """In the package a sticky first action repeats the last one of the episode before: there the paddle moves."""
    single = MinAtarSingle("breakout", 1.0, ramping=True, full_actions=True, limit=100)
    single._sticky = 0.0
    single.reset(3)
    single.step(np.eye(6, dtype=np.float32)[1])  # left
    single._sticky = 1.0
    single.reset(3)
    before = single.observe()[0].copy()
    single.step(np.eye(6, dtype=np.float32)[1])
    np.testing.assert_array_equal(single.observe()[0], before)


def test_freeway_terminates_by_itself_and_is_truncated_by_a_smaller_limit() -> None:
    action = np.eye(6, dtype=np.float32)[0]
    for limit, end in ((10_000, (2_501, True, False)), (2_500, (2_500, False, True)), (2_501, (2_501, True, False))):
        single = MinAtar(game="freeway", episode_env_steps=limit).single()
        single.reset(0)
        told = [single.step(action)[1:] for _ in range(end[0])]
        assert told[-1] == end[1:] and not any(map(any, told[:-1]))


def test_what_changes_difficulty_reaches_the_game() -> None:
    """Asterix begins to spawn faster after about 100 frames; without ramping, never."""
    speeds = []
    for ramping in (True, False):
        single = MinAtar(game="asterix", difficulty_ramping=ramping, sticky_actions=0.0).single()
        assert isinstance(single, MinAtarSingle)
        single.reset(0)
        single._game.terminal = False
        for _ in range(103):
            single.step(np.eye(6, dtype=np.float32)[0])
            single._game.terminal = False
        speeds.append(single._game.spawn_speed)
    assert speeds == [9, 10]


def test_the_table_is_that_of_the_package() -> None:
    import minatar

    folder = Path(minatar.__file__).parent / "environments"
    assert sorted(file.stem for file in folder.glob("[!_]*.py")) == sorted(minatar_table())
    assert suite("minatar").tasks == tuple(minatar_table())
    for name, row in minatar_table().items():
        theirs = minatar.Environment(name)
        assert (theirs.state_shape()[2], len(theirs.minimal_action_set())) == (row.channels, row.minimal_actions)


def test_an_unknown_game_names_the_near_one_and_an_absent_package_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="no MinAtar game named 'brekout'; did you mean 'breakout'"):
        MinAtar(game="brekout")
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "composer.environments.suites.minatar.find_spec", lambda name: None if name == "minatar" else found(name)
    )
    with pytest.raises(UnusableEnvironment, match=r'pip install "rl-composer\[minatar\]"'):
        MinAtar(game="breakout").make([0], "training")
    problem = check(blueprints_root() / "atari" / "dqn.toml", ['environment = { kind = "minatar", game = "pong" }'])
    assert "no MinAtar game named 'pong'" in str(problem[0])
