"""Which variants can share a program, and why others cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_rollouts import Choices
from tiny_runs import DRIFT, EAGER, tiny

from composer.blueprint import Blueprint, BlueprintError, load
from composer.blueprint.forecast.one_program import joined, obstacle, program_groups
from composer.blueprint.forecast.program_key import structure
from composer.training.learner import Learner

HERE = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "numbers",
    [
        ("seeds=[3]", "optimizers.actor.learning_rate=0.5", "algorithm.discount=0.5", "algorithm.n_step=3"),
        ("interventions={ a = { when = { kind = 'every', interval = 9 }, where = ['actor.head.*'], "
         "do = { kind = 'perturb', scale = 0.1 } } }",),
        ("environment.limit=24", "replay.capacity=50", "evaluation.episodes=1", "name='another'"),
    ],
)  # fmt: skip
def test_numbers_do_not_part_variants(numbers: tuple[str, ...]) -> None:
    first, second = tiny(DRIFT), tiny(DRIFT, *numbers)
    assert obstacle(first, second) is None
    assert joined([first, second]).seeds == (*first.seeds, *second.seeds)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ("networks.critic.copies=1", "they differ in networks.critic.copies"),
        ("networks.actor.trunk={ use = 'simba', width = 9, blocks = 1 }", "they differ in networks.actor.trunk"),
        ("algorithm.batch_size=16", "they differ in algorithm.batch_size"),
        ("algorithm.update_to_data=2", "they differ in clock.update_to_data"),
        ("environment.copies=2", "they differ in clock.stride"),
        ("training.env_steps=90", "they differ in training.env_steps"),
        ("compute.threads=2", "they differ in compute.threads"),
        ("optimizers.actor={ kind = 'adam' }", "they differ in optimizers.actor"),
        ("compute.compile='background'", "compute.compile is 'background'"),
        (
            "interventions={ grow = { when = { kind = 'at', steps = [30] }, where = ['critic.head.*'], "
            "do = { kind = 'inject' }, target = 'follow' } }",
            "interventions.grow changes what the network is",
        ),
    ],
)
def test_what_is_part_of_the_program_parts_them(other: str, reason: str) -> None:
    found = obstacle(tiny(DRIFT), tiny(DRIFT, other))
    assert found is not None and found.startswith(reason)


def test_several_updates_a_call_want_equal_moments() -> None:
    often = (
        "interventions={ a = { when = { kind = 'every', interval = %d, clock = 'update' }, where = ['actor.head.*'],"
    )
    often += " do = { kind = 'perturb', scale = 0.1 } } }"
    twice = "compute.updates_per_call=2"
    assert obstacle(tiny(DRIFT, often % 9), tiny(DRIFT, often % 8)) is None
    assert obstacle(tiny(DRIFT, twice, often % 9), tiny(DRIFT, twice, often % 9)) is None
    found = obstacle(tiny(DRIFT, twice, often % 9), tiny(DRIFT, twice, often % 8))
    assert found is not None and "interventions.a.when.interval" in found


def test_parties_keep_the_order_and_their_size() -> None:
    wide = "networks.critic.copies=1"
    found = {name: tiny(DRIFT, *more) for name, more in {"a": (), "b": (wide,), "c": (), "d": (wide,), "e": ()}.items()}
    assert program_groups(found, 64) == [["a", "c", "e"], ["b", "d"]]
    assert program_groups(found, 2) == [["a", "c"], ["b", "d"], ["e"]]
    assert program_groups(found, 1) == [["a"], ["b"], ["c"], ["d"], ["e"]]


SEVERAL = {
    "tiny.toml": (
        DRIFT,
        "optimizers.actor={ kind = 'sam', rho = 0.1, base = { kind = 'adamw', max_gradient_norm = 1.0 } }",
        "optimizers.temperature={ kind = 'upgd', beta_utility = 0.9, sigma = 0.01, weight_decay = 0.1 }",
        "optimizers.critic.learning_rate={ kind = 'exponential', start = 1e-2, end = 1e-3, updates = 9 }",
        "averages.target_critic.momentum={ kind = 'warmup', value = 0.9, updates = 9, start = 0.5 }",
        "penalties={ a = { kind = 'l2', where = ['critic.*'], coefficient = 0.1 } }",
        "normalization.reward.kind='return_scale'",
    ),
    "tiny_td3.toml": (
        "algorithm.actor_noise={ std = 0.1, clip = 0.2 }",
        "algorithm.exploration={ std = 0.1, clip = 0.2 }",
    ),
    "tiny_dqn.toml": (),
    "tiny_ppo.toml": ("algorithm.value_clip=0.2",),
}
assert Choices.kind == "test/choice"
COLLECTED = {"algorithm.gae_lambda", "algorithm.initial_temperature"}
"""Numbers that decide what a batch holds, or what is there at the start: every run of a fleet has its own."""


def _numbers(table: Any, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(table, Mapping):
        for key, value in table.items():
            yield from _numbers(value, f"{path}.{key}" if path else key)
    elif isinstance(table, int | float) and not isinstance(table, bool):
        yield path, table


@pytest.mark.parametrize("file", SEVERAL)
def test_every_number_that_variants_may_differ_in_is_one_that_a_fleet_can_stack(file: str) -> None:
    """A number left out of the program's key and not made by ``optim.hyperparameters`` would be the first one's."""
    from composer.blueprint.serialize import resolved

    plain = load(HERE / file, SEVERAL[file]).blueprint
    table, checked = resolved(plain), 0
    for part in ("algorithm", "averages", "optimizers", "penalties"):
        for path, value in _numbers(table.get(part, {}), part):
            if path in COLLECTED:
                continue
            other = _changed(file, path, value)
            if other is None or structure(other) != structure(plain):
                continue
            skipped = {"update_to_data", "warmup_interactions", "untrained_interactions"}
            if path.rpartition(".")[2] in skipped or re.search(r"n_step|discount|evaluation_epsilon", path):
                continue
            checked += 1
            (first, second) = (_held(each) for each in (plain, other))
            assert any(not torch.equal(a, b) for a, b in zip(first, second, strict=True)), path
    assert checked >= 3


def _changed(file: str, path: str, value: float) -> Blueprint | None:
    for number in (value * 0.9, value + 1, value - 1):
        try:
            typed = int(number) if isinstance(value, int) else number
            if typed == value:
                continue
            return load(HERE / file, [*SEVERAL[file], f"{path}={typed}"]).blueprint
        except BlueprintError:
            continue
    return None


def _held(blueprint: Blueprint) -> list[torch.Tensor]:
    return list(Learner(blueprint.agent, "cpu", EAGER).hyperparameters.tensors)
