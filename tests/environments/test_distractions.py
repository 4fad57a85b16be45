"""Distracting backgrounds and colours: the foreground stays, episodes are replayed exactly, streams are apart."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest
from registered_environments import __name__ as MODULE

from composer.environments import DmControl, EnvironmentFailure, Gymnasium
from composer.environments.distractions import Background, Colors
from composer.environments.distractions.base import Distracted, Distraction

SCREEN = np.zeros((12, 16), bool)
SCREEN[:, :10] = True


def plain(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)


def shown(declared: Distraction, seed: int, count: int = 4) -> list[np.ndarray]:
    """The pictures of an episode that would show the same one throughout."""
    made, picture = Distracted([declared]), plain()
    made.begin(seed)
    found = [made.change(picture, lambda: SCREEN) for _ in range(count)]
    np.testing.assert_array_equal(picture, plain())
    assert all(each.dtype == np.uint8 and each.shape == picture.shape for each in found)
    return found


@pytest.mark.parametrize("changes", ["episode", "decision"])
@pytest.mark.parametrize("kind", [Background, Colors])
def test_pictures_follow_from_seed_and_decision_alone(kind: type[Distraction], changes: Any) -> None:
    declared = kind(changes=changes)
    first, again, other = (shown(declared, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], other[0])
    assert np.array_equal(first[0], first[3]) == (changes == "episode")


@pytest.mark.parametrize("intensity", [1.0, 0.25])
def test_a_background_is_mixed_in_and_the_foreground_stays(intensity: float) -> None:
    found = shown(Background(intensity=intensity), 1)[0]
    whole = shown(Background(), 1)[0]
    np.testing.assert_array_equal(found[~SCREEN], plain()[~SCREEN])
    mixed = intensity * whole[SCREEN].astype(float) + (1 - intensity) * plain()[SCREEN]
    assert np.abs(found[SCREEN] - mixed).max() <= 0.5
    assert whole[SCREEN].std() > 20


def test_a_screen_color_is_the_background_where_the_simulator_says_nothing() -> None:
    picture = np.full((12, 16, 3), 200, np.uint8)
    picture[4:8, 4:8] = [10, 200, 30]
    picture[0, 0] = [198, 203, 200]
    made = Distracted([Background(screen_color=(200, 200, 200), tolerance=3)])
    made.begin(0)
    found = made.change(picture, lambda: pytest.fail("a mask is asked for"))
    np.testing.assert_array_equal(found[4:8, 4:8], picture[4:8, 4:8])
    assert (found != picture).any(-1).sum() > 100 and (found[0, 0] != picture[0, 0]).any()


def test_colors_are_a_gain_and_an_offset_of_each_channel() -> None:
    found, picture = shown(Colors(intensity=0.4), 2)[0].astype(float), plain().astype(float)
    for channel in range(3):
        inside = (found[..., channel] > 0) & (found[..., channel] < 255)
        gain, offset = np.polyfit(picture[inside, channel], found[inside, channel], 1)
        assert 0.6 <= gain <= 1.4 and abs(offset) <= 26
        assert np.abs(gain * picture[inside, channel] + offset - found[inside, channel]).max() < 1.1


def test_videos_and_pictures_of_a_folder(tmp_path: Path) -> None:
    """A folder of frames plays forwards and backwards from a drawn frame; each episode draws a source."""
    (tmp_path / "video").mkdir()
    for index in range(4):
        imageio.imwrite(tmp_path / "video" / f"{index}.png", np.full((24, 32, 3), 50 * index, np.uint8))
    declared = Background(folder=str(tmp_path), changes="decision")
    values = [int(each[0, 0, 0]) // 50 for each in shown(declared, 0, count=13)]
    assert values[:6] == values[6:12] and sorted(values[:6]) == [0, 1, 1, 2, 2, 3]
    assert {abs(a - b) for a, b in itertools.pairwise(values)} == {1}
    starts = {int(shown(declared, seed, 1)[0][0, 0, 0]) for seed in range(20)}
    assert starts == {0, 50, 100, 150}
    imageio.imwrite(tmp_path / "grey.png", np.full((24, 32), 255, np.uint8))
    other = declared.model_copy(update={"folder": f"{tmp_path}/."})
    assert 255 in {int(shown(other, seed, 1)[0][0, 0, 0]) for seed in range(20)}
    missing = Background(folder=str(tmp_path / "nowhere"))
    assert "never fetched" in (missing.refusal() or ("", ""))[1]


def test_streams_are_apart_and_pictures_are_needed() -> None:
    declared = (Colors(stream="evaluation"), Colors(stream="training"), Background())
    made = DmControl(task="cartpole-swingup", observe="pixels", distractions=declared)
    assert made.in_stream("training").distractions == declared[1:]
    assert made.in_stream("evaluation").distractions == (declared[0], declared[2])
    assert not list(made.problems(1, 1_000, 1))
    told = made.model_copy(update={"observe": "state"})
    assert "observes no pictures" in next(message for _, message in told.problems(1, 1_000, 1))


def test_pictures_of_gymnasium_are_changed_and_need_a_screen_color() -> None:
    clean = Gymnasium(module=MODULE, id="test/Painted-v0", kwargs={"stop": 6})
    changed = clean.model_copy(update={"distractions": (Colors(), Background(screen_color=(0, 0, 0)))})
    vectors = [each.make([0, 1], "training") for each in (clean, changed, changed)]
    first, second, third = (vector.reset().copy() for vector in vectors)
    if clean.info.observation[0] != 3:
        assert "observes no pictures" in next(message for _, message in changed.problems(1, 100, 1))
        return
    np.testing.assert_array_equal(second, third)
    assert (first != second).any()
    bare = clean.model_copy(update={"distractions": (Background(),)})
    assert [key for key, _ in bare.problems(1, 100, 1)] == ["environment.distractions[0]"]


@pytest.mark.slow
def test_the_agent_stays_in_pictures_of_dm_control_and_a_resumed_run_sees_the_same() -> None:
    """Slow: draws. Cart and pole are as without, sky and floor are not; each decision is replayed exactly."""
    declared = DmControl(task="cartpole-swingup", action_repeat=8, observe="pixels", height=32, width=48, stack=1)
    moving = declared.model_copy(update={"distractions": (Background(changes="decision"),)})
    try:
        clean, vector, resumed = (each.make([0], "training") for each in (declared, moving, moving))
    except EnvironmentFailure as failure:
        pytest.skip(failure.reason)
    before, seen, masks = clean.reset(), vector.reset(), []
    for action in np.random.default_rng(2).uniform(-1, 1, (5, 1, 1)).astype(np.float32):
        told, found = clean.step(action), vector.step(action)
        before, seen = told.observation[0].transpose(1, 2, 0), found.observation[0].transpose(1, 2, 0)
        masks.append(clean._rows._singles[0]._task.background(32, 48, 0))  # type: ignore[attr-defined]
        assert 0.004 < (~masks[-1]).mean() < 0.6
        np.testing.assert_array_equal(seen[~masks[-1]], before[~masks[-1]])
        assert (seen[masks[-1]] != before[masks[-1]]).any(-1).mean() > 0.9
        assert found.reward == told.reward
    np.testing.assert_array_equal(resumed.load_state(vector.state())[0].transpose(1, 2, 0), seen)
