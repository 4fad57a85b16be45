"""Atari held to Gymnasium's reference preprocessing, bit by bit; what protocols mean; lives, replays, tables."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from composer.environments import Atari, Simulator
from composer.environments.suites import atari_rows
from composer.environments.suites.task_tables import game_table, suite
from composer.environments.vector.vector import episode_seed
from composer.spec.family import Spec
from composer.spec.package_files import registry_root
from composer.spec.random_streams import derive

TOOL = Path(__file__).resolve().parents[2] / "tools" / "atari_table.py"


class Holder(Spec):
    environment: Simulator


class Drawn:
    """Stands for Gymnasium's random numbers: so many no-ops."""

    def __init__(self, noops: int) -> None:
        self._noops = noops

    def integers(self, low: int, high: int) -> int:
        return self._noops


def reference(environment: Atari, noops: int) -> Any:
    """Gymnasium's wrappers around ALE's environment, in the first training game of seed 0."""
    import ale_py
    import gymnasium
    from ale_py.roms import get_rom_path
    from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

    gymnasium.register_envs(ale_py)
    bare: Any = gymnasium.make(
        f"ALE/{environment.game.title().replace('_', '')}-v5",
        frameskip=1,
        repeat_action_probability=environment.sticky_actions,
        full_action_space=environment.full_actions,
        max_num_frames_per_episode=environment.frame_limit,
    )
    bare.unwrapped.ale.setInt("random_seed", episode_seed(derive(0, "training"), 0) >> 32)
    bare.unwrapped.ale.loadROM(get_rom_path(environment.game))
    bare.unwrapped.np_random = Drawn(noops)
    small = AtariPreprocessing(bare, noop_max=noops, frame_skip=environment.action_repeat, screen_size=84)
    return FrameStackObservation(small, environment.stack, padding_type="zero")


def one_hot(environment: Simulator, count: int, n: int = 1, seed: int = 0) -> np.ndarray:
    size = environment.info.action_size
    choices = np.random.default_rng(seed).integers(0, size, (count, n))
    return np.eye(size, dtype=np.float32)[choices]


GAMES = {
    "pong": Atari(game="pong", protocol="machado2018", clip_rewards=False),
    "breakout": Atari(game="breakout", protocol="atari100k", life_loss_ends=False, clip_rewards=False),
    "qbert": Atari(game="qbert", protocol="machado2018", clip_rewards=False),
    "seaquest": Atari(game="seaquest", protocol="machado2018", frame_limit=1602, clip_rewards=False),
    "space_invaders": Atari(game="space_invaders", protocol="atari100k", life_loss_ends=False, action_repeat=3),
    "assault": Atari(game="assault", protocol="dopamine2018", clip_rewards=False),
    "freeway": Atari(game="freeway", protocol="atari100k", noop_starts=0, frame_limit=2000, clip_rewards=False),
}
QUICK = {"pong", "breakout", "seaquest", "freeway", "assault"}
"""A game of each protocol, and the two that do not end by themselves."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in GAMES]
)
def test_games_equal_gymnasiums_reference_frame_by_frame(name: str) -> None:
    """Alone compares the other games of the benchmark with Gymnasium's preprocessing, bit by bit."""
    environment = GAMES[name]
    vector = environment.make([0], "training")
    first = vector.reset()
    noops = int(vector._rows._frame[0])  # type: ignore[attr-defined]
    assert bool(noops) == (environment.noop_starts > 0)
    oracle = reference(environment, noops)
    observation, _ = oracle.reset()
    np.testing.assert_array_equal(first[0], observation)
    total = 0.0
    for action in one_hot(environment, 450):
        observation, reward, over, cut, told = oracle.step(int(action.argmax()))
        step = vector.step(action)
        total += step.reward[0]
        np.testing.assert_array_equal(step.final_observation[0], observation)
        assert step.reward[0] == (np.sign(reward) if environment.clip_rewards else reward)
        assert (step.terminated[0], step.truncated[0]) == (over, cut)
        assert step.episode_length[0] == told["episode_frame_number"] - noops
        if over or cut:
            break
    assert step.episode_return[0] == total
    assert (over, cut) == {"seaquest": (False, True), "freeway": (False, False)}.get(environment.game, (over, cut))
    vector.close()
    oracle.close()


def test_a_lost_life_ends_an_episode_and_not_the_game() -> None:
    whole = Atari(game="breakout", protocol="atari100k", noop_starts=0, life_loss_ends=False)
    by_life = whole.model_copy(update={"life_loss_ends": True})
    actions = one_hot(whole, 400, seed=3)
    games, lives = whole.make([0], "training"), by_life.make([0], "training")
    np.testing.assert_array_equal(games.reset(), lives.reset())
    kinds, since, total = [], 4, 0.0
    for action in actions:
        expected, got = games.step(action), lives.step(action)
        total += got.reward[0]
        np.testing.assert_array_equal(got.reward, expected.reward)
        np.testing.assert_array_equal(got.final_observation[0, -1], expected.final_observation[0, -1])
        since += 1
        shown = min(since, 4)
        np.testing.assert_array_equal(got.final_observation[0, -shown:], expected.final_observation[0, -shown:])
        assert not got.final_observation[0, : 4 - shown].any(), "frames of an earlier life are hidden"
        if got.terminated[0]:
            kinds.append("game" if expected.terminated[0] else "life")
            assert got.episode_return[0] == total
            total, since = 0.0, 4 if expected.terminated[0] else 1
            if kinds[-1] == "life":
                np.testing.assert_array_equal(got.observation[0, -1], got.final_observation[0, -1])
                assert not got.observation[0, :-1].any()
        if kinds[-1:] == ["game"]:
            break
    assert kinds == ["life"] * 4 + ["game"]
    np.testing.assert_array_equal(got.observation, expected.observation)


def test_an_episode_of_the_last_life_ends_with_the_game() -> None:
    """Bank Heist plays on for a while when no lives are left."""
    vector = Atari(game="bank_heist", protocol="atari100k", noop_starts=0).make([0], "training")
    actions, rows = one_hot(Atari(game="bank_heist", protocol="atari100k"), 1500), vector._rows  # type: ignore[attr-defined]
    vector.reset()
    lives, without = [4], 0
    for action in actions:
        step = vector.step(action)
        over = bool(rows._ended[0])
        without += int(rows._lives[0] == 0 and not over)
        if over:
            assert step.terminated[0]
            break
        assert bool(step.terminated[0]) == (0 < rows._lives[0] < lives[-1])
        lives.append(int(rows._lives[0]))
    assert over and without > 0
    vector.close()


def test_a_game_is_loaded_anew_once_its_log_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Games before that start as ALE's vector starts them when nobody names a seed."""
    monkeypatch.setattr(atari_rows, "RELOADED_AFTER", 300)
    environment = Atari(game="breakout", protocol="machado2018", noop_starts=30)
    vector, alone = environment.make([0], "training"), environment.make([0], "training")
    games = environment._games(1)
    observation, _ = games.reset(seed=np.array([episode_seed(derive(0, "training"), 0) >> 32]))
    np.testing.assert_array_equal(vector.reset(), observation)
    starts, kinds = [0], list[str]()
    for action in one_hot(environment, 1_500):
        step, expected = vector.step(action), games.step(action.argmax(axis=1))
        if starts[-1] == 0:
            np.testing.assert_array_equal(step.final_observation, expected[0])
        if not step.terminated[0]:
            continue
        state = vector.state()
        starts.append(int(state["episodes"][0]))
        kinds.append("loaded" if starts[-1] > starts[-2] else "gone on")
        if kinds[-1] == "loaded":
            assert state["lengths"][0] == 0
            np.testing.assert_array_equal(step.observation, alone.reset(episode=starts[-1]))
        else:
            assert 0 < state["lengths"][0] < 300
        if starts[-1] == 0:
            np.testing.assert_array_equal(step.observation, games.reset(options={"reset_mask": np.array([True])})[0])
    assert kinds[:3] == ["gone on", "loaded", "gone on"]
    for each in (vector, alone):
        each.close()


def test_starting_frames_are_as_declared() -> None:
    def frames(**pieces: Any) -> set[int]:
        # Two seeds that draw different numbers.
        vector = Atari(game="breakout", sticky_actions=0.0, **pieces).make([8, 9], "training")
        vector.reset()
        found = set(vector._rows._frame.tolist())  # type: ignore[attr-defined]
        vector.close()
        return found

    assert frames(noop_starts=1) == {0, 1}
    assert frames(noop_starts=0, fire_on_reset=True) == {1}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_state_in_mid_game_continues_exactly(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone restores games, in this process and in ALE's threads: the first ones of a seed, and later ones."""
    monkeypatch.setattr(atari_rows, "RELOADED_AFTER", 200)
    environment = Atari(game="breakout", protocol="atari100k", sticky_actions=0.25, workers=workers)
    actions = one_hot(environment, 440, 3, seed=5)
    vector = environment.make([0, 1, 2], "training")
    vector.reset()
    elsewhere = environment.make([0, 1, 2], "training")
    elsewhere.reset()
    points, lives, later, first = set(), 0, 0, vector.state()["episodes"]
    for moment, action in enumerate(actions):
        step = vector.step(action)
        lives += int((step.terminated & (vector.state()["lengths"] > 0)).sum())
        later += int(vector._rows._ended.sum())  # type: ignore[attr-defined]
        fresh = step.terminated.any() and len(points) < 2
        if fresh or moment == 400:  # right after a life or a game was lost, and in between
            points.add(moment)
            state = vector.state()
            assert len(set(state["lengths"].tolist())) > 1 or moment < 100
            np.testing.assert_array_equal(elsewhere.load_state(state), step.observation)
        elif points:
            got = elsewhere.step(action)
            for name in step._fields:
                np.testing.assert_array_equal(getattr(got, name), getattr(step, name), err_msg=name)
    assert len(points) == 3 and lives > 5
    assert later > (vector.state()["episodes"] - first).sum() > 0, "both kinds of starts"
    vector.close()
    elsewhere.close()


@pytest.mark.parametrize("game", ["pong", pytest.param("ms_pacman", marks=pytest.mark.slow)])
def test_a_game_depends_on_nothing_but_its_seed(game: str) -> None:
    """Beside the quick game, one with other randomness."""
    environment = Atari(game=game, protocol="machado2018", noop_starts=30)
    vector = environment.make([0, 7], "training")
    actions = one_hot(environment, 60, 2)
    horizon_schedules = []
    for before in (0, 45):
        vector.reset()
        for action in one_hot(environment, before, 2, seed=9):
            vector.step(action)
        observation = [vector.reset(episode=11)]
        horizon_schedules.append(np.stack(observation + [vector.step(action).observation.copy() for action in actions]))
    np.testing.assert_array_equal(horizon_schedules[0], horizon_schedules[1])
    assert (horizon_schedules[0][:, 0] != horizon_schedules[0][:, 1]).any()
    vector.reset(episode=12)
    assert any((vector.step(a).observation != o).any() for a, o in zip(actions, horizon_schedules[0][1:], strict=True))
    vector.close()


def test_colour_frames_are_three_channels_each() -> None:
    coloured = Atari(game="pong", noop_starts=0, sticky_actions=0.0, grayscale=False, stack=2, height=210, width=160)
    info = coloured.info
    assert (info.observation, info.stacked_frames) == ((6, 210, 160), 2)
    vector = coloured.make([0], "training")
    first = vector.reset()
    assert not first[0, :3].any()
    actions = one_hot(coloured, 2)
    step = vector.step(actions[0])
    np.testing.assert_array_equal(step.observation[0, :3], first[0, 3:])
    oracle = reference(coloured.model_copy(update={"action_repeat": 1}), 0)
    oracle.unwrapped.reset()
    for _ in range(4):
        picture, *_ = oracle.unwrapped.step(int(actions[0].argmax()))
    assert (step.observation[0, 3:].transpose(1, 2, 0) >= picture).all(), "the maximum of the last two frames"
    shown = vector.render(0)
    np.testing.assert_array_equal(shown[::4, ::4], step.observation[0, 3:].transpose(1, 2, 0))
    vector.close()


def test_protocols_are_written_out_and_any_piece_can_be_another() -> None:
    named = {"sticky_actions", "noop_starts", "full_actions", "life_loss_ends"}
    classic = Holder.model_validate({"environment": {"kind": "atari", "game": "pong"}}).environment
    assert isinstance(classic, Atari)
    assert {key: getattr(classic, key) for key in named} == {
        "sticky_actions": 0.25,
        "noop_starts": 0,
        "full_actions": True,
        "life_loss_ends": False,
    }
    table = {"kind": "atari", "game": "pong", "protocol": "atari100k", "noop_starts": 7}
    held = Holder.model_validate({"environment": table})
    short = held.environment
    assert isinstance(short, Atari)
    assert (short.sticky_actions, short.noop_starts, short.full_actions, short.life_loss_ends) == (0.0, 7, False, True)
    assert short.clip_rewards and short.frame_limit == 108_000 and not short.fire_on_reset
    assert named <= short.model_dump(exclude_unset=True).keys(), "what a summary shows"
    assert Holder.model_validate(held.model_dump()) == held
    judged = short.for_evaluation()
    assert (judged.clip_rewards, judged.life_loss_ends, judged.noop_starts) == (False, False, 7)
    assert (classic.info.action_size, short.info.action_size) == (18, 6)


def test_dopamines_protocol_is_machados_with_the_actions_of_the_game() -> None:
    """Pong has 6, Breakout 4, Freeway 3 and Alien all 18."""
    for game, actions in {"pong": 6, "breakout": 4, "freeway": 3, "alien": 18}.items():
        dopamine, machado = (Atari(game=game, protocol=name) for name in ("dopamine2018", "machado2018"))
        assert dopamine.info.action_size == actions and machado.info.action_size == 18
        changed = {"protocol": "machado2018", "full_actions": True}
        assert dopamine.model_dump() | changed == machado.model_dump()
        assert dopamine.for_evaluation().info.action_size == actions


@pytest.mark.parametrize(
    ("table", "at", "message"),
    [
        ({"game": "mspacman"}, "game", "no Atari game named 'mspacman'; did you mean 'ms_pacman'?"),
        ({"game": "Pong"}, "game", "no Atari game named 'Pong'; did you mean 'pong'?"),
        ({"game": "combat"}, "game", "no Atari game named 'combat'"),
        (
            {"game": "pong", "protocol": "atari100"},
            "protocol",
            "Input should be 'machado2018', 'dopamine2018' or 'atari100k'",
        ),
        ({"game": "pong", "protocol": 3}, "protocol", "Input should be 'machado2018', 'dopamine2018' or 'atari100k'"),
    ],
)
def test_unknown_names_are_refused_with_the_near_one(table: dict[str, object], at: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Holder.model_validate({"environment": {"kind": "atari", **table}})
    (error,) = caught.value.errors()
    assert error["loc"] == ("environment", at)
    assert error["msg"].startswith(message)


def test_describing_imports_no_emulator() -> None:
    program = (
        "import json, sys; from composer.environments import Atari; info = Atari(game='krull').info;"
        "print(json.dumps([info.observation, info.action_size, info.episode_interactions,"
        "[name for name in ('torch', 'numpy', 'ale_py', 'gymnasium') if name in sys.modules]]))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert json.loads(printed) == [[4, 84, 84], 18, 27_000, []]


@pytest.mark.slow
def test_table_is_what_the_tool_reads_from_the_installed_emulator() -> None:
    """Alone compares the shipped table of games with the installed emulator."""
    committed = (registry_root() / "suites" / "tasks_atari.toml").read_text(encoding="utf-8")
    assert runpy.run_path(str(TOOL))["table"]() == committed


def test_sets_of_games_have_their_published_sizes() -> None:
    hundred, five, all_games = suite("atari_100k"), suite("atari_5"), suite("atari_57")
    assert (len(hundred.tasks), len(five.tasks), len(all_games.tasks)) == (26, 5, 57)
    assert {*hundred.tasks, *five.tasks} <= set(all_games.tasks) <= set(game_table())
    assert hundred.env_steps == 100_000 * Atari(game="pong").action_repeat
