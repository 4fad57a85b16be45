"""Tasks in phases as they are declared: spaces that fit, views of observations, plans and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_rollouts
from drift import Drift as Drift
from pydantic import ValidationError
from tiny_runs import TINY

from composer.blueprint import BlueprintError, load
from composer.blueprint.forecast.timeline import timeline
from composer.blueprint.load import report
from composer.environments import MinAtar, SimulatorPhases

GAMES = ("breakout", "seaquest", "freeway")


def declared(**more: Any) -> SimulatorPhases:
    """Three MinAtar games, padded."""
    tasks = [{"kind": "minatar", "game": game, "full_actions": False} for game in GAMES]
    table = {"task": tasks[0], "phases": [{"task": task, "env_steps": 30} for task in tasks], "pad": True}
    return SimulatorPhases.model_validate(table | more)


def problems(**more: Any) -> list[str]:
    """What is wrong with a run of them."""
    made = declared(**more)
    return [f"{key}: {message}" for key, message in made.problems(32, 90, 2)]


def test_padded_games_have_the_channels_and_the_actions_of_the_largest() -> None:
    """MinAtar: 4, 10 and 7 channels, 3, 6 and 3 actions."""
    phases = declared()
    assert (phases.info.observation, phases.info.action_size) == ((10, 10, 10), 6)
    assert problems() == []
    seeds = (3, 4)
    streams = [stream for seed in seeds for stream in phases.copy_seeds(seed)]
    padded, alone = phases.make_phase(0, seeds, streams, "training"), MinAtar(game="breakout", full_actions=False)
    plain = alone.make(streams, "training")
    seen, whole = padded.reset(), plain.reset()
    assert seen.shape == (2, 10, 10, 10)
    # Actions 3 to 5 are none of Breakout's: its first one, which does nothing, is taken.
    for action in (0, 4, 1, 5, 2) * 6:
        given, taken = (
            np.eye(6, dtype=np.float32)[[action] * 2],
            np.eye(3, dtype=np.float32)[[action % 3 * (action < 3)] * 2],
        )
        step, expected = padded.step(given), plain.step(taken)
        np.testing.assert_array_equal(step.observation[:, :4], expected.observation)
        assert not step.observation[:, 4:].any()
        np.testing.assert_array_equal(step.reward, expected.reward)
    assert whole.shape == (2, 4, 10, 10)


def test_an_order_of_entries_is_that_of_the_seed_and_comes_again_with_its_number() -> None:
    phases = [{"env_steps": 10, "permutation": 7}, {"env_steps": 10, "fresh": True, "offset": 0.5}]
    made = SimulatorPhases.model_validate({"task": {"kind": "test/drift"}, "phases": phases, "cycles": 2})
    orders = {(number, seed): tuple(made.view(number, seed).order(50)) for number in range(4) for seed in (0, 1)}
    assert orders[0, 0] == orders[2, 0] != orders[0, 1]
    assert len({orders[1, 0], orders[3, 0], orders[1, 1], orders[0, 0]}) == 4
    # Training and evaluation show a seed the same order; copies share it.
    environments = made.make_phase(3, (0, 1), (11, 12, 13, 14), "evaluation", is_evaluation=True)
    raw = Drift().make((11, 12, 13, 14), "evaluation").reset()
    seen = environments.reset()
    for row, seed in enumerate((0, 0, 1, 1)):
        view = made.view(3, seed)
        np.testing.assert_array_equal(seen[row], raw[row][view.order(3)] + view.shifts(3))
        assert abs(view.shifts(3)).max() <= 0.5


def test_the_plan_counts_cycles_and_interactions() -> None:
    phases = [{"env_steps": 8}, {"env_steps": 4, "permutation": 1}]
    made = SimulatorPhases.model_validate({"task": {"kind": "test/drift"}, "phases": phases, "cycles": 2, "copies": 2})
    assert [stage.start for stage in made.stages(1)] == [0, 4, 6, 10]
    assert [made.phase_of(interaction) for interaction in (0, 3, 4, 5, 6, 9, 10, 99)] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert made.stages(1)[1].words == "phase 2 of 4: test/drift, observations in order 1"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"pad": False}, "environment.phases[1].task: observations of [10, 10, 10] here, and [4, 10, 10]"),
        ({"phases": [{"env_steps": 45}, {"task": {"kind": "test/drift"}, "env_steps": 45}]}, "actions are chosen in"),
        ({"phases": [{"env_steps": 90, "offset": 1.0}]}, "pictures are bytes"),
        ({"phases": [{"env_steps": 45}], "cycles": 2, "copies": 2}, "45 is not a multiple of one interaction"),
        (
            {"task": {"kind": "atari", "game": "pong"}, "phases": [{"env_steps": 90, "permutation": 1}]},
            "4 stacked frames share pictures",
        ),
    ],
)
def test_what_does_not_fit_is_told(more: dict[str, Any], expected: str) -> None:
    assert any(expected in each for each in problems(**more))


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"phases": [{}, {}]}, "phase 1 has no length"),
        ({"phases": [{"permutation": 1, "fresh": True}]}, "leave 'permutation' out"),
        ({"phases": [{"env_steps": 1}], "task": {"kind": "test/drift", "copies": 2}}, "set environment.copies instead"),
        ({"phases": [{"env_steps": 1}], "task": SimulatorPhases.example}, "a task is a plain simulator"),
    ],
)
def test_what_is_no_task_is_refused(table: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        SimulatorPhases.model_validate({"task": {"kind": "test/drift"}} | table)


def test_a_rollout_cannot_be_cleared() -> None:
    kind = 'kind = "simulator_phases", task = { kind = "test/drift" }, phases = [{ env_steps = 64 }], copies = 2'
    learns = ("training.env_steps=64", "environment={ %s }")
    assert tiny_rollouts.tiny(*learns[:1], learns[1] % kind).environment.stages_per_cycle == 1
    with pytest.raises(BlueprintError, match=r"environment.replay: PPO keeps no replay that could be cleared"):
        tiny_rollouts.tiny(*learns[:1], learns[1] % f'{kind}, replay = "clear"')


def test_phases_after_the_end_of_a_run_are_warned_of(tmp_path: Path) -> None:
    kind = 'kind = "simulator_phases", task = { kind = "test/drift" }, phases = [{ env_steps = 500 }], cycles = 3'
    path = tmp_path / "tiny.toml"
    path.write_text(
        TINY.read_text()
        .replace('{ kind = "dm_control", task = "cartpole-swingup", action_repeat = 8 }', f"{{ {kind} }}")
        .replace("1_200", "1_000")
    )
    found = report(path)
    assert found.problems == []
    expected = "the run ends at 1,000: phase 3 of 3 would begin after 1,000 environment steps"
    assert [warning.message for warning in found.warnings] == [expected]
    late = next(moment for moment in timeline(load(path).blueprint) if "phase 3" in moment.event)
    assert late.env_step is None
