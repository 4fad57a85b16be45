"""What ``show``, ``lint`` and ``fork`` make of a blueprint that learns on policy."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_rollouts import CHOICES, PICTURES, TINY, begin, tiny
from tiny_runs import go_on, resumed, stopped

from composer.blueprint.forecast.clock import clock_of
from composer.blueprint.forecast.memory import forecast, transitions_held
from composer.blueprint.forecast.timeline import timeline
from composer.blueprint.inspect.lint import lint
from composer.blueprint.inspect.show_text import show_text
from composer.blueprint.load import load
from composer.spec.package_files import blueprints_root
from composer.training import launch
from composer.training.fork import NotForkable

SHIPPED = ("classic/cartpole_ppo", "classic/pendulum_ppo", "dmc/ppo_simba")


def test_updates_come_in_bursts() -> None:
    blueprint = tiny()
    clock = clock_of(blueprint)
    made = [clock.tick() for _ in range(20)]
    assert made == ([0] * 7 + [4]) * 2 + [0] * 4
    assert [clock_of(blueprint).env_step_of(update, blueprint.training.env_steps) for update in (1, 4, 5, 28, 29)] == [
        16,
        16,
        32,
        112,
        None,
    ]
    first = next(moment for moment in timeline(blueprint) if moment.key == "algorithm.rollout_interactions")
    assert (first.update, first.env_step, first.count) == (1, 16, 28)
    assert first.event == "first update of 28; 4 updates after every 8 interactions"


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_rollouts_are_shown_whole_and_end_its_schedules_with_its_rollouts(name: str) -> None:
    path = blueprints_root() / f"{name}.toml"
    for variant in (None, *load(path, (), None).variants):
        blueprint = load(path, (), variant).blueprint
        clock, text = clock_of(blueprint), show_text(blueprint)
        assert f"updates after every {clock.rollout} interactions" in text
        assert "after end" not in text
        assert clock.interactions_by(blueprint.training.env_steps) % clock.rollout == 0
    assert [one for one in lint(path) if one.severity == "warn"] == []


def test_a_rollout_is_the_memory_of_a_run() -> None:
    """Two observations, an action, a reward, two flags; of pictures a frame, and a stack more of each environment."""
    assert transitions_held(tiny()) == 16
    assert forecast(tiny()).replay == 2 * 16 * (2 * 3 + 2 + 3) * 4
    assert forecast(tiny(*CHOICES)).replay == 2 * 16 * (2 * 3 + 3 + 3) * 4
    assert transitions_held(tiny(*PICTURES)) == (8 + 2) * 2
    assert ("algorithm", "rollout_interactions") in forecast(tiny()).parts()


def test_advice_on_replays_is_not_given(tmp_path: Path) -> None:
    rules = {one.rule for one in lint(TINY)}
    assert "short-replay" not in rules
    assert load(TINY).warnings == []
    short = tmp_path / "short.toml"
    short.write_text(TINY.read_text().replace("env_steps = 120", "env_steps = 14"))
    (one,) = [one for one in load(short).warnings if "before the first update" in one.message]
    assert one.path == "algorithm.rollout_interactions"


def test_a_fork_keeps_the_rollout_in_progress(tmp_path: Path) -> None:
    """At its length and on policy; what else changes goes on from the middle of it."""
    origin = stopped(*begin(tmp_path / "origin"), at=88)
    plain = launch.fork(origin, ["training.env_steps=152"], None, 0, tmp_path / "fork", quiet=True)
    run, parts = begin(tmp_path / "whole", "training.env_steps=152")
    go_on(parts)
    run.close()
    assert launch.digest(plain.path)["digest"] == launch.digest(run.path)["digest"]
    longer = ["algorithm.rollout_interactions=16", "algorithm.batch_size=16"]
    with pytest.raises(NotForkable, match=r"rollout_interactions \(8 then, 16 now\): the rollout in progress cannot"):
        launch.fork(origin, longer, None, 0, tmp_path / "other", quiet=True)
    resumed(origin)
