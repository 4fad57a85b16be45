"""What ``show`` says: parameters, operations and memory as counted by hand, the timeline as a clock runs it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest

from composer.algorithms.declared import Passes
from composer.blueprint import Blueprint, digest, load
from composer.blueprint.forecast.clock import Clock, clock_of
from composer.blueprint.forecast.flops import evaluations
from composer.blueprint.forecast.memory import forecast
from composer.blueprint.forecast.timeline import Moment, half_life, timeline, times_due
from composer.blueprint.inspect.equal_blocks import grouped
from composer.blueprint.inspect.network_facts import network_facts
from composer.blueprint.inspect.show import show_json
from composer.blueprint.inspect.show_text import show_text
from composer.spec.package_files import blueprints_root
from composer.spec.quantities import bytes_text, columns, scaled

SMALL = ("networks.critic.copies=2", "seeds=[0, 1, 2]", "replay.capacity=1_000")


def quickstart(*overrides: str) -> Blueprint:
    return load(blueprints_root() / "quickstart.toml", overrides).blueprint


def network(inputs: int, outputs: int) -> tuple[int, int]:
    """Parameters and operations of a SimBa network of width 64 and one block, whose head gives ``outputs`` numbers."""
    h = 64

    def linear(a: int, b: int) -> tuple[int, int]:
        return a * b + b, 2 * a * b + b

    pieces = [linear(inputs, h), (2 * h, 7 * h), linear(h, 4 * h), (0, 4 * h), linear(4 * h, h), (0, h), (2 * h, 7 * h)]
    pieces.append(linear(h, outputs))
    return sum(count for count, _ in pieces), sum(flops for _, flops in pieces)


def test_parameters_and_memory() -> None:
    blueprint = quickstart(*SMALL)
    shown = show_json(blueprint)
    one, _ = network(5 + 1, 1)
    critic, memory = shown["networks"]["critic"], shown["memory"]
    assert critic["parameters"] == critic["trainable"] == 2 * one
    assert (critic["frozen"], critic["buffers"], critic["copies"]) == (0, 0, 2)
    assert shown["hash"] == digest(blueprint)
    whole = 2 * one * 4 * 3  # Two copies, float32, three seeds.
    assert memory["networks"]["critic"] == {
        "total_bytes": 5 * whole, "parameters_bytes": whole, "buffers_bytes": 0, "gradients_bytes": whole,
        "optimizer_bytes": 2 * whole, "averages_bytes": {"target_critic": whole},
        "injections_bytes": 0, "anchors_bytes": 0,
    }  # fmt: skip
    # Observation twice, action, reward, two flags.
    assert memory["replay_bytes"] == 1_000 * (2 * 5 + 1 + 3) * 4 * 3
    parts = [*(held["total_bytes"] for held in memory["networks"].values()), memory["replay_bytes"]]
    assert shown["memory_bytes"] == forecast(blueprint).total == sum(parts)
    assert shown["averages"]["target_critic"]["parameters"] == 2 * one


def test_operations_of_an_update_of_sac() -> None:
    blueprint = quickstart(*SMALL)
    shown = show_json(blueprint)
    _, actor = network(5, 2)
    actor += 4  # The head bounds one log standard deviation in four operations.
    _, critic = network(6, 1)
    samples = 128 * 3
    assert shown["networks"]["actor"]["forward_flops_per_sample"] == actor
    assert shown["networks"]["critic"]["forward_flops_per_sample"] == 2 * critic
    expected = [
        ("actor", "train", 3 * actor), ("critic", "through", 2 * 2 * critic), ("actor", "forward", actor),
        ("target_critic", "forward", 2 * critic), ("critic", "train", 3 * 2 * critic),
    ]  # fmt: skip
    made = [(one["network"], one["passes"], one["flops"]) for one in shown["update"]["evaluations"]]
    assert made == [(name, passes, flops * samples) for name, passes, flops in expected]
    assert shown["update"]["flops"] == samples * (4 * actor + 12 * critic)
    assert shown["update"]["flops_of_all_updates"] == shown["update"]["flops"] * shown["length"]["updates"]


def test_an_algorithm_evaluates_what_the_blueprint_has() -> None:
    blueprint = quickstart()
    names = {*blueprint.networks, *blueprint.averages}
    assert {one.network for one in evaluations(blueprint.agent)} <= names
    # What an objective trains is evaluated with gradients of its parameters.
    trained = {one.network for one in evaluations(blueprint.agent) if one.passes is Passes.TRAIN}
    assert trained == {*blueprint.algorithm.trained_roles()} - {*blueprint.algorithm.learned_scalars()}


def test_frozen_parameters_buffers_and_spheres_are_shown() -> None:
    trunk = (
        'networks.critic.trunk=[{ kind="frozen", block={ kind="linear", width=8 } }, { kind="batch_norm" }, '
        '{ kind="dropout", rate=0.5 }, { kind="linear", width=8, unit_norm = "rows", bias = false }]'
    )
    blueprint = quickstart(trunk)
    shown, text = show_json(blueprint), show_text(blueprint)
    critic, held = shown["networks"]["critic"], shown["memory"]["networks"]["critic"]
    frozen, kept = 6 * 8 + 8, 2 * 8 + 8 * 8 + 9
    assert (critic["parameters"], critic["trainable"], critic["frozen"]) == (frozen + kept, kept, frozen)
    # Two statistics of eight numbers; a key and a counter of noise.
    assert critic["buffers"] == 2 * 8 + 2
    assert held["buffers_bytes"] == 2 * 8 * 4 + 2 * 8
    assert (held["gradients_bytes"], held["optimizer_bytes"]) == (4 * kept, 8 * kept), "of what is trained alone"
    assert held["averages_bytes"]["target_critic"] == held["parameters_bytes"] + held["buffers_bytes"]
    lines = [line.strip() for line in text.split("\n")]
    assert any(line.startswith("block: linear") and line.endswith("weight, bias frozen") for line in lines)
    assert any(line.startswith("3: linear") and line.endswith("weight of unit norm") for line in lines)
    assert any(line.startswith("2: dropout") and "a random stream of its own; counter draws" in line for line in lines)
    assert any(line.startswith("1: batch_norm") and "statistic running_mean [8]" in line for line in lines)


def test_text() -> None:
    text = show_text(quickstart(*SMALL, "networks.critic.trunk.blocks=3"))
    lines = text.split("\n")
    (title,) = (line for line in lines if line.startswith("critic: "))
    assert title.endswith("parameters in 2 copies, 403 kFLOP per sample forward")
    around = [line for line in lines[lines.index(title) + 1 :] if line.startswith("  ")][:3]
    assert [line.split(None, 1) for line in around] == [
        ["input", "observation [5] through rs_norm, action [1]"],
        ["optimizer", "adamw learning_rate 0.0003, weight_decay 0.01"],
        ["average", "target_critic, momentum 0.99"],
    ]
    assert any(line.split() == ["0:", "linear", "[64]", "448", "832"] for line in lines)
    folded = [line for line in lines if line.startswith("      0..2: residual")]
    assert len(folded) == 1, "equal blocks are shown once"
    assert "3 × 33,216" in folded[0]
    assert "operations   " in text and "GFLOP per update" in text


def numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from numbers(item, f"{path}.{key}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value


def test_the_table_is_json_and_its_numbers_say_their_units() -> None:
    shown = show_json(quickstart('averages.slow={of="critic", momentum=1.0}'))
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
    assert shown["averages"]["slow"]["half_life_updates_max"] is None, "it never moves"
    for path, _ in numbers(shown):
        if "flops" in path or "bytes" in path or "steps" in path or "step" in path:
            continue
        # What is no amount of work, memory or time is a count, a shape or a place in a list.
        words = ("shape", "parameter", "trainable", "frozen", "buffers", "copies", "size", "seeds", "norm_axis")
        times = ("updates", "interactions", "update", "count", "discount", "learned_scalars")
        assert any(word in path for word in (*words, *times)), path


def test_an_average_of_an_average_is_one_of_the_network() -> None:
    chained = quickstart('averages.slow={of="target_critic", momentum=0.9}')
    plain = quickstart('averages.slow={of="critic", momentum=0.9}')
    assert forecast(chained) == forecast(plain)
    assert evaluations(chained.agent) == evaluations(plain.agent)
    shown, expected = show_json(chained)["averages"]["slow"], show_json(plain)["averages"]["slow"]
    assert shown == {**expected, "of": "target_critic"}
    averages = [line.split(None, 1)[1] for line in show_text(chained).split("\n") if line.startswith("  average  ")]
    assert [each.partition(",")[0] for each in averages] == ["target_critic", "slow of target_critic"]


@pytest.mark.parametrize("ratio", [0.1, 1 / 3, 0.7, 1.0, 2.0, 3.5])
@pytest.mark.parametrize("copies", [1, 3])
def test_the_timeline_is_what_the_clock_does(ratio: float, copies: int) -> None:
    blueprint = quickstart(
        f"algorithm.update_to_data={ratio}", "algorithm.warmup_interactions=7", f"environment.copies={copies}",
        "training.env_steps=500", "evaluation.every=60", "checkpoint.every=4",
        'optimizers.actor.learning_rate={kind="linear", start=1e-3, end=1e-4, updates=5}',
        'optimizers.critic.learning_rate={kind="linear", start=1e-3, end=1e-4, updates=100_000}',
    )  # fmt: skip
    clock: Clock = clock_of(blueprint)
    reached: dict[int, int] = {}
    fired = {"evaluation.every": [], "checkpoint.every": []}  # type: dict[str, list[int]]
    while clock.env_steps < blueprint.training.env_steps:
        clock.tick()
        last = clock.env_steps >= blueprint.training.env_steps
        for update in range(max(reached, default=0) + 1, clock.updates + 1):
            reached[update] = clock.env_steps
        for key, every in (("evaluation.every", 60), ("checkpoint.every", 4)):
            if last or clock.due(every):
                fired[key].append(clock.env_steps)
    start = clock_of(blueprint)
    assert {update: start.env_step_of(update, blueprint.training.env_steps) for update in reached} == reached
    assert start.env_step_of(max(reached) + 1, blueprint.training.env_steps) is None
    moments = timeline(blueprint)
    for key, steps in fired.items():
        (moment,) = (one for one in moments if one.key == key)
        assert (moment.env_step, moment.count) == (steps[0], len(steps))
    by_key = {one.key: one for one in moments}
    assert by_key["algorithm.update_to_data"].env_step == reached[1]
    assert by_key["algorithm.update_to_data"].count == max(reached)
    assert (by_key["training.env_steps"].env_step, by_key["training.env_steps"].update) == (
        clock.env_steps,
        max(reached),
    )
    ends = [one for one in moments if one.key == "optimizers.actor.learning_rate"]
    assert [(one.update, one.env_step) for one in ends] == [(0, reached[1]), (5, reached[5])]
    late = moments[-1]
    assert (late.key, late.update, late.env_step) == ("optimizers.critic.learning_rate", 100_000, None)
    assert [one.env_step for one in moments[:-1]] == sorted(one.env_step or 0 for one in moments[:-1])


def test_what_is_due_less_often_than_once_happens_at_the_end() -> None:
    assert times_due(every=1_000, stride=2, interactions=10) == 1
    assert times_due(every=20, stride=2, interactions=10) == 1
    assert times_due(every=1, stride=2, interactions=10) == 10
    assert times_due(every=6, stride=4, interactions=10) == 7


def test_half_lives() -> None:
    assert half_life(0.995) == pytest.approx(138.28, abs=0.01)
    assert 0.995 ** half_life(0.995) == pytest.approx(0.5)
    assert half_life(0.0) == 0
    assert half_life(1.0) == math.inf
    events = [moment.event for moment in timeline(quickstart()) if moment.key == "averages.target_critic.momentum"]
    assert events == ["target_critic begins to follow critic, half-life 69 updates"]
    turning = 'averages.target_critic.momentum={kind="linear", start=0.9, end=1.0, updates=10}'
    events = [moment.event for moment in timeline(quickstart(turning)) if "half-life" in moment.event]
    assert events == ["target_critic begins to follow critic, half-life 6.58 to inf updates"]
    still = [moment.event for moment in timeline(quickstart("averages.target_critic.momentum=1.0"))]
    assert "target_critic begins as a copy of critic; the algorithm renews it" in still


def test_a_momentum_that_copies_is_one_row_and_the_end_is_the_last() -> None:
    copied = 'averages.target_critic.momentum={kind="periodic", every=2_000}'
    falling = 'optimizers.actor.learning_rate={kind="linear", start=1e-3, end=1e-4, updates=29_000}'
    blueprint = quickstart(copied, falling)
    moments = timeline(blueprint)
    (row,) = (moment for moment in moments if moment.key == "averages.target_critic.momentum")
    assert row.event == "target_critic is copied from critic"
    assert network_facts(blueprint)["critic"].averages == ("target_critic, copied every 2,000 updates",)
    assert [moment.event for moment in moments[-2:]] == [
        "learning_rate is 0.0001, on a linear schedule",
        "end",
    ]


def test_a_run_without_an_update_has_a_timeline() -> None:
    moments: list[Moment] = timeline(quickstart("training.env_steps=100"))
    assert [moment.env_step for moment in moments if moment.key == "algorithm.update_to_data"] == [None]
    assert show_json(quickstart("training.env_steps=100"))["update"]["flops_of_all_updates"] == 0


def test_only_equal_and_numbered_neighbours_are_folded() -> None:
    found = quickstart("networks.actor.trunk.blocks=2").sound_outlines["actor"]
    trunk, head = found.children["trunk"], found.children["head"]
    assert [group.label for group in grouped(trunk.children["1"].children)] == ["0..1"]
    assert [group.label for group in grouped(trunk.children)] == ["0", "1", "2"]
    assert head.children["mean"] == head.children["log_std"]
    assert [group.label for group in grouped(head.children)] == ["mean", "log_std"]
    assert [*grouped({})] == []


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "0"), (999, "999"), (1_000, "1.00 k"), (65_999, "66.0 k"), (999_499, "999 k"), (999_500, "1.00 M")],
)  # fmt: skip
def test_numbers_have_three_digits(number: int, expected: str) -> None:
    assert scaled(number) == expected


def test_bytes_and_columns() -> None:
    assert [bytes_text(size) for size in (0, 1_000, 217 * 2**20, 2**40)] == ["0 B", "0.977 KiB", "217 MiB", "1.00 TiB"]
    assert columns([("a", "1", ""), ("bb", "10", "x")], right=(1,)) == ["a    1", "bb  10  x"]


SPLIT = (
    "networks.critic.trunk.blocks=3",
    'interventions.late={when={kind="at", steps=[500, 900]}, where=["critic.trunk.1.2.*", "!*.bias"], '
    'do={kind="lerp", toward={kind="fresh"}}, moments="zero"}',
    'interventions.all={when={kind="every", interval=4_000}, where=["critic.*"], do={kind="perturb", keep=0.5}}',
)
"""Three equal blocks, of which the last one is changed alone; and everything of the network."""


def test_changes_stand_on_the_parts_that_they_choose() -> None:
    blueprint = quickstart(*SPLIT)
    lines = [line.strip() for line in show_text(blueprint).split("\n")]
    critic = lines[next(index for index, line in enumerate(lines) if line.startswith("critic: ")) :]
    assert "changed by  late: lerp toward fresh, moments zero, at 500, 900 updates" in critic
    assert "changed by  all: perturb keep 0.5, every 4,000 updates" in critic
    tree = critic[: critic.index("")]
    # The two blocks before it are still one group; what touches every part is said once, above.
    assert [line.split()[0] for line in tree if line.endswith("changed by late")] == ["0:", "1:", "3:"]
    assert sum(line.startswith("0..1: residual") for line in tree) == 1
    assert sum(line.startswith("2: residual") for line in tree) == 1
    changes = {each["name"]: each for each in show_json(blueprint)["networks"]["critic"]["changes"]}
    assert changes["late"]["paths"] == [f"trunk.1.2.block.{layer}.weight" for layer in (0, 1, 3)]
    assert (changes["late"]["is_of_all"], changes["all"]["is_of_all"]) == (False, True)
    assert show_json(blueprint)["networks"]["actor"]["changes"] == []
