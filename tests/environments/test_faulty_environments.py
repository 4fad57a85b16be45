"""Whatever an environment does ends a run with exit code 6, one sentence and the JSON object; a renderer, too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faulty_environments
import gymnasium
import pytest
from faulty_environments import CLOSING, DRAWING, RESULTS, STEPS, Sound, slug
from typer.testing import CliRunner

import composer
from composer.cli import app
from composer.environments import EnvironmentFailure, Gymnasium
from composer.environments.interface import UnusableEnvironment
from composer.spec.calls import tell_ctrl_c_apart
from composer.training.endings import Stopped

TINY = str(Path(__file__).parent.parent / "tiny_dqn.toml")
SHORT = ("training.env_steps=60", "evaluation.every=60", "evaluation.episodes=1", "checkpoint.every=60")


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """The handler of the command line, which tells Ctrl-C from a KeyboardInterrupt of an environment."""
    import signal

    before = signal.getsignal(signal.SIGINT)
    tell_ctrl_c_apart()
    yield
    signal.signal(signal.SIGINT, before)


def declared(name: str, **more: Any) -> Gymnasium:
    return Gymnasium(module="faulty_environments", id=f"faulty/{name}-v0", **more)


def command(*arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the object for programs, and what is said to people."""
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, json.loads(result.stdout.splitlines()[-1]), result.stderr


def train(name: str, runs: Path, *overrides: str) -> tuple[int, dict[str, Any], str]:
    environment = f'environment={{ kind = "gymnasium", module = "faulty_environments", id = "faulty/{name}-v0" }}'
    return command("train", TINY, environment, *SHORT, *overrides, "--runs", str(runs))


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("fault", [*STEPS[:5], STEPS[6], *RESULTS])
def test_a_failure_names_the_call_and_what_it_did(fault: str, workers: int) -> None:
    """Alone has environments fail in worker processes."""
    vector = declared(slug(fault), workers=workers).make([0], "training")
    action = [[1.0, 0.0]]
    with pytest.raises(EnvironmentFailure) as caught:
        vector.reset()
        for _ in range(10):
            vector.step(faulty_environments.np.asarray(action, "float32"))
    vector.close()
    said = {
        "exits": "step raised SystemExit: 0",
        "interrupts": "step raised KeyboardInterrupt: mine",
        "is ended": "step raised GeneratorExit",
        "exits in reset": "reset raised SystemExit: 0",
        "interrupts in reset": "reset raised KeyboardInterrupt",
        "tells four": "step raised ValueError: not enough values to unpack (expected 5, got 4)",
        "rewards nan": "the reward is nan",
    }
    expected = said.get(fault, f"step returned what it may not: {'the reward' if 'rewards' in fault else 'terminated'}")
    assert expected in str(caught.value)
    assert caught.value.step == (0 if "reset" in fault else 3)


@pytest.mark.parametrize("fault", ["exits", "interrupts", "exits in reset", "rewards text"])
def test_a_run_ends_with_6_a_sentence_and_the_object(tmp_path: Path, fault: str) -> None:
    code, answer, said = train(slug(fault), tmp_path / "runs")
    assert (code, answer["exit_code"] if "exit_code" in answer else 6) == (6, 6)
    assert "Traceback" not in said and "environment 0" in said


@pytest.mark.parametrize("fault", ["exits when built"])
def test_one_that_cannot_be_built_is_refused_where_it_is_declared(fault: str) -> None:
    with pytest.raises(UnusableEnvironment, match="cannot be built: SystemExit: 0"):
        declared(slug(fault)).discover()


@pytest.mark.parametrize("fault", CLOSING)
def test_a_finished_run_stays_finished_when_closing_fails(tmp_path: Path, fault: str) -> None:
    code, answer, said = train(slug(fault), tmp_path / "runs")
    assert (code, answer["status"], answer["final_return"]) == (0, "finished", 10.0)
    assert "nothing of the run is lost" in said and "close raised" in said
    code, answer, said = command("evaluate", answer["run"], "--episodes", "1")
    assert (code, answer["return"]) == (0, 10.0) and "close raised" in answer["notes"][0]


def test_pictures_are_asked_for_only_by_a_video(tmp_path: Path) -> None:
    code, answer, said = train(f"Draws{slug(DRAWING[0])}", tmp_path / "runs")
    assert code == 0, said
    video = ("evaluate", answer["run"], "--episodes", "1", "--video")
    code, failed, _ = command(*video, str(tmp_path / "film.mp4"))
    assert code == 6 and "cannot open a display" in failed["message"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Sound", "faulty/Sound-v0 has no pictures: 'rgb_array' is no render mode of it (its metadata list none)"),
        ("DrawsExitsInRender", "this environment cannot draw here: render raised SystemExit: 3"),
        ("DrawsNothing", "this environment has no pictures: render returned None"),
        ("DrawsAList", "this environment has no pictures: render returned [array("),
        ("DrawsNumbers", "render returned shape [15, 17, 3] and type float64, expected uint8 [height, width, 3]"),
        ("DrawsMoreAndMore", "the pictures change their size: [16, 16, 3] at first, [17, 16, 3] now"),
    ],
)
def test_a_video_that_cannot_be_drawn_is_a_sentence_with_6(tmp_path: Path, name: str, said: str) -> None:
    _, answer, _ = train(name, tmp_path / "runs")
    code, failed, _ = command("evaluate", answer["run"], "--episodes", "1", "--video", str(tmp_path / "film.mp4"))
    assert (code, failed["exit_code"]) == (6, 6) and said in failed["message"]


def test_pictures_of_odd_sizes_make_a_video_and_a_bad_name_is_told(tmp_path: Path) -> None:
    _, answer, _ = train("Drawn", tmp_path / "runs")
    for name, code in (("film.mp4", 0), ("film.xyz", 2), ("no/such/folder/film.mp4", 2)):
        found, told, _ = command("evaluate", answer["run"], "--episodes", "1", "--video", str(tmp_path / name))
        assert found == code and (code == 0 or "cannot be written" in told["message"])
    assert (tmp_path / "film.mp4").stat().st_size > 0


def test_arguments_may_be_tables_and_lists_of_lists() -> None:
    kwargs = {"config": {"sizes": {"observation": 3}, "on": True, "none": []}, "maze": [[0, 1], [1, 0]]}
    environment = declared("Configured", kwargs=kwargs)
    environment.discover()
    assert environment.info.observation == (5,) and environment.model_dump()["kwargs"] == kwargs
    assert environment.make([0], "training").reset().shape == (1, 5)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"deep": [[float("inf")]]}, "numbers must be in -1e+15 to 1e+15, got float inf"),
        ({"when": __import__("datetime").date(2024, 1, 1)}, "expected a number, string, boolean, list or table"),
        ({"a": {1: 2}}, "the keys of a table are strings, got integer 1"),
        ([0] * 20_000, "needs at most 10,000 values"),
    ],
)
def test_what_is_no_argument_is_one_problem(value: Any, said: str) -> None:
    with pytest.raises(ValueError, match="1 validation error") as caught:
        Gymnasium(id="CartPole-v1", kwargs={"x": value})
    assert said in str(caught.value)


def test_an_id_of_the_program_trains_and_says_why_workers_cannot(tmp_path: Path) -> None:
    gymnasium.register("faulty/Mine-v0", entry_point=Sound, max_episode_steps=20)
    loaded = composer.load(TINY, ['environment={ kind = "gymnasium", id = "faulty/Mine-v0" }', *SHORT])
    assert composer.train(loaded, tmp_path).final_return == 10.0
    several = ['environment={ kind = "gymnasium", id = "faulty/Mine-v0", workers = 1 }', *SHORT]
    with pytest.raises((UnusableEnvironment, composer.BlueprintError), match="is registered by this program, which"):
        composer.train(composer.load(TINY, several), tmp_path)


def test_an_id_that_is_registered_anew_is_described_anew() -> None:
    gymnasium.register("faulty/Anew-v0", entry_point=Sound, max_episode_steps=20)
    environment = Gymnasium(id="faulty/Anew-v0")
    environment.discover()
    assert environment.info.observation == (3,)
    del gymnasium.registry["faulty/Anew-v0"]
    gymnasium.register("faulty/Anew-v0", entry_point=faulty_environments.Drawn, max_episode_steps=7)
    environment.discover()
    assert environment.info.episode_env_steps == 7


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ALE/Pong-v5", 'Atari games are environment = { kind = "atari", game = "pong" }'),
        ("faulty_environments:faulty/Sound-v0", "module = 'faulty_environments' and id = 'faulty/Sound-v0'"),
        ("MinAtar/SpaceInvaders-v1", 'environment = { kind = "minatar", game = "space_invaders" }'),
        ("MiniGrid-Empty-5x5-v0", "pip install minigrid, then write environment"),
    ],
)
def test_an_id_of_elsewhere_gets_a_hint(name: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(gymnasium.registry, name, raising=False)
    with pytest.raises(ValueError, match="no environment registered") as caught:
        Gymnasium(id=name)
    assert hint in str(caught.value)


def test_the_interface_of_python_raises_what_the_command_says(tmp_path: Path) -> None:
    environment = 'environment={ kind = "gymnasium", module = "faulty_environments", id = "faulty/Exits-v0" }'
    with pytest.raises(Stopped, match="step raised SystemExit: 0") as caught:
        composer.train(composer.load(TINY, [environment, *SHORT]), tmp_path)
    assert caught.value.exit_code == 6 and caught.value.table["status"] == "failed"
