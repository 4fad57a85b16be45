"""A run shorter than a stack of frames trains; a replay that holds no stack is refused before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_dqn import DOTS, TINY

import composer
from composer.blueprint import BlueprintError, load
from composer.blueprint.forecast.memory import fewest_rows, transitions_allocated

SHORT = (*DOTS, "algorithm.warmup_interactions=1", "evaluation.every=1000", "checkpoint.every=1000")


@pytest.mark.parametrize("more", [(), ("seeds=[0, 3]",), ("algorithm.batch_size=1",)])
@pytest.mark.parametrize("env_steps", [1, 2, 3, 4])
def test_a_run_of_no_more_decisions_than_frames_trains(tmp_path: Path, env_steps: int, more: tuple[str, ...]) -> None:
    blueprint = load(TINY, [*SHORT, f"training.env_steps={env_steps}", *more]).blueprint
    rows = fewest_rows(blueprint.environment.info)
    assert transitions_allocated(blueprint) == max(env_steps, rows)
    assert composer.train(blueprint, tmp_path).table["env_steps"] == env_steps


def test_a_replay_without_room_for_a_stack_is_refused_and_one_more_row_is_enough(tmp_path: Path) -> None:
    rows = fewest_rows(load(TINY, SHORT).blueprint.environment.info)
    small = [*SHORT, "training.env_steps=20", "algorithm.batch_size=1"]
    with pytest.raises(BlueprintError, match=rf"replay.capacity: {rows - 1} transitions hold no stack of pictures"):
        load(TINY, [*small, f"replay.capacity={rows - 1}"])
    assert composer.train(load(TINY, [*small, f"replay.capacity={rows}"]).blueprint, tmp_path).table["updates"]


@pytest.mark.parametrize("kind", ["atari", "gymnasium"])
def test_copies_count(kind: str) -> None:
    atari = 'environment={ kind = "atari", game = "pong", height = 16, width = 16, copies = 3 }'
    trunk = 'networks.value.trunk=[{ kind = "flatten" }, { kind = "linear", width = 4 }]'
    if kind == "gymnasium":
        assert load(TINY, ['environment={ kind = "gymnasium", id = "CartPole-v1", copies = 8 }', "replay.capacity=8"])
        return
    load(TINY, [atari, trunk, "replay.capacity=15"])
    with pytest.raises(BlueprintError, match="14 transitions hold no stack of pictures: it needs at least 15"):
        load(TINY, [atari, trunk, "replay.capacity=14"])
