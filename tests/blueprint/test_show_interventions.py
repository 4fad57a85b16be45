"""Interventions and penalties in ``show``: each planned firing as a clock brings it, and the memory that they take."""

from __future__ import annotations

from typing import Any

import pytest

from composer.blueprint import Blueprint, load
from composer.blueprint.forecast.clock import clock_of, lengths_of
from composer.blueprint.forecast.firings import firings
from composer.blueprint.forecast.timeline import timeline
from composer.blueprint.inspect.show import show_json
from composer.blueprint.inspect.show_text import show_text
from composer.interventions import Every
from composer.spec.package_files import blueprints_root

RESET = "do = { kind = 'lerp', toward = { kind = 'fresh' } }"
HEAD = 64 + 1  # The quickstart's critic ends in a linear layer of 64 features.


def quickstart(*overrides: str) -> Blueprint:
    return load(blueprints_root() / "quickstart.toml", overrides).blueprint


def reset(when: str, where: str = "['critic.head.*']", do: str = RESET, more: str = "") -> str:
    return f"interventions.it={{ when = {when}, where = {where}, {do}{more} }}"


def shown(*overrides: str) -> list[dict[str, Any]]:
    table = show_json(quickstart("networks.critic.copies=2", *overrides))
    return [moment for moment in table["timeline"] if moment["key"].startswith(("interventions", "penalties"))]


@pytest.mark.parametrize("clock", ["env", "interaction", "update"])
@pytest.mark.parametrize(
    ("interval", "first", "spare", "most"), [(1, 0, 0, 0), (3, 0, 40, 0), (7, 2, 0, 0), (50, 0, 0, 2)]
)
@pytest.mark.parametrize(("ratio", "copies"), [(0.7, 3), (2.0, 1)])
def test_firings_are_those_of_a_run(
    clock: str, interval: int, first: int, spare: int, most: int, ratio: float, copies: int
) -> None:
    when = Every(interval=interval, first=first, spare_last=spare, maximum=most, clock=clock)  # type: ignore[arg-type]
    blueprint = quickstart(
        f"algorithm.update_to_data={ratio}", "algorithm.warmup_interactions=7", f"environment.copies={copies}",
        "training.env_steps=500",
        reset(f"{{ kind = 'every', interval = {interval}, first = {first}, spare_last = {spare}, maximum = {most}, "
              f"clock = '{clock}' }}"),
    )  # fmt: skip
    ticking, fired = clock_of(blueprint), []
    total = ticking.interactions_by(500)
    length = {"env": total * ticking.stride, "interaction": total, "update": ticking.updates_by(500)}[clock]
    for _ in range(total):
        updates, env = ticking.updates, ticking.env_steps
        ticking.tick()
        spans = {
            "update": [(update, update + 1) for update in range(updates, ticking.updates)],
            "interaction": [(ticking.interactions - 1, ticking.interactions)],
            "env": [(env, ticking.env_steps)],
        }[clock]
        for before, now in spans:
            if when.fires(before, now, length):
                fired.append((ticking.env_steps, now if clock == "update" else ticking.updates))
    (moment,) = (one for one in timeline(blueprint) if one.key == "interventions.it")
    assert (moment.env_step, moment.update, moment.count) == (*fired[0], len(fired))
    assert [every for every, _ in moment.intervals()] == [interval]


def test_no_length_is_too_long_to_count() -> None:
    blueprint = quickstart("training.env_steps=1_000_000_000_000")
    found = firings(Every(interval=1, clock="update"), lengths_of(blueprint), blueprint.environment.stride)
    assert found is not None and found.count > 10**11


def test_each_listed_moment_is_shown_and_moments_of_one_interaction_are_one() -> None:
    at = "{ kind = 'at', steps = [1_001, 1_002, 9_000], clock = 'env' }"
    blueprint = quickstart("environment.action_repeat=2", reset(at))
    found = firings(blueprint.interventions["it"].when, lengths_of(blueprint), blueprint.environment.stride)
    assert found is not None and found.count == 2
    steps = [one.env_step for one in timeline(blueprint) if one.key == "interventions.it"]
    assert steps == [1_002, 9_000]


def test_what_is_done_is_said() -> None:
    every = "{ kind = 'every', interval = 100, clock = 'update' }"
    (moment,) = shown(reset(every, more=", moments = 'zero', target = 'own'"))
    assert moment["parameters"] == 2 * HEAD
    assert moment["event"] == f"it: lerp toward fresh, moments zero, target own, {2 * HEAD} parameters of critic"
    assert (moment["every_updates"], moment["every_env_steps"]) == (100, None)
    (line,) = (line for line in show_text(quickstart(reset(every))).split("\n") if "interventions.it" in line)
    assert "parameters of critic, every 100 updates, " in line


def test_a_crossing_is_shown_as_a_condition() -> None:
    when = (
        "{ kind = 'crossing', metric = 'evaluation/return', below = 100.0, patience = 3, cooldown = 50, clock = 'env' }"
    )
    (moment,) = shown(reset(when))
    assert moment["count"] is None and moment["env_step"] == 0
    condition = "when evaluation/return is below 100 3 times in a row, 1 time a seed at most, "
    assert moment["event"].startswith(condition + "not within 50 environment steps of the last, it: lerp")


def test_a_combination_is_shown_as_a_condition_and_at_the_moments_within_it() -> None:
    parts = (
        "{ kind = 'every', interval = 20_000, clock = 'env' }, { kind = 'not', of = { kind = 'at', steps = [7, 90],"
        " clock = 'interaction' } }, { kind = 'plateau', metric = 'evaluation/return', readings = 2 }"
    )
    whole, *at, every = shown(reset(f"{{ kind = 'any', of = [{parts}] }}"))
    assert whole["count"] is None and whole["event"].startswith("when (another 20,000 environment steps are over or ")
    assert (every["key"], every["env_step"], every["count"]) == ("interventions.it.when.of[0]", 20_000, 3)
    assert every["every_env_steps"] == 20_000 and every["event"] == "it: fires if its trigger holds"
    assert [(each["key"], each["env_step"], each["count"]) for each in at] == [
        ("interventions.it.when.of[1].of", 14, 1),
        ("interventions.it.when.of[1].of", 180, 1),
    ]


def test_penalties_begin_with_the_first_update_and_keep_anchors() -> None:
    pulls = (
        "penalties.near={ kind = 'l2_init', where = ['critic.head.*'], coefficient = 0.5 }",
        "penalties.small={ kind = 'l2', where = ['critic.*', 'temperature.*'], coefficient = 0.5 }",
    )
    near, small = shown(*pulls)
    assert near["event"] == f"near: l2_init of coefficient 0.5 begins to pull {2 * HEAD} parameters of critic"
    assert small["event"].endswith("of critic and temperature") and small["update"] == 1
    table = show_json(quickstart("networks.critic.copies=2", "seeds=[0, 1, 2]", *pulls))
    assert table["memory"]["networks"]["critic"]["anchors_bytes"] == 2 * HEAD * 4 * 3
    assert table["memory"]["networks"]["actor"]["anchors_bytes"] == 0


@pytest.mark.parametrize(
    ("do", "when", "seeds", "expected"),
    [
        # Times injected, terms each, each in the network and in its average; numbers trained in addition.
        ("", "{ kind = 'at', steps = [9_000] }", 1, (1, 2, 0)),
        ("", "{ kind = 'every', interval = 9_000 }", 3, (3, 2, 0)),
        (", third_term = 'omit'", "{ kind = 'at', steps = [9_000] }", 1, (1, 1, 0)),
        (", original = 'train'", "{ kind = 'at', steps = [9_000, 9_001] }", 1, (2, 2, 1)),
        ("", "{ kind = 'crossing', metric = 'critic/loss', above = 1.0, maximum = 2 }", 1, (2, 2, 0)),
        ("", "{ kind = 'crossing', metric = 'critic/loss', above = 1.0, maximum = 0 }", 2, (1, 2, 1)),
    ],
)
def test_an_injection_takes_its_terms_in_network_and_average(
    do: str, when: str, seeds: int, expected: tuple[int, int, int]
) -> None:
    inject = f"do = {{ kind = 'inject'{do} }}"
    blueprint = quickstart(
        f"seeds={[*range(seeds)]}", "networks.critic.copies=2", reset(when, do=inject, more=", target = 'follow'")
    )
    times, terms, trained = expected
    held = show_json(blueprint)["memory"]["networks"]["critic"]
    # Beside what is trained: its gradient and the two moments of AdamW.
    assert held["injections_bytes"] == times * (2 * terms + 3 * trained) * HEAD * 2 * seeds * 4
    plain = show_json(quickstart(f"seeds={[*range(seeds)]}", "networks.critic.copies=2"))
    assert held["total_bytes"] == plain["memory"]["networks"]["critic"]["total_bytes"] + held["injections_bytes"]
    assert "injections" in show_text(blueprint) and "anchors" not in show_text(blueprint)
