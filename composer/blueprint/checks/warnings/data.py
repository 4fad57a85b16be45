"""Warnings about the data that updates learn from: the warm-up, the replay, windows and phases."""

from __future__ import annotations

from collections.abc import Iterator

from composer.blueprint.checks.meaning import Finding
from composer.blueprint.forecast.clock import clock_of, lengths_of
from composer.blueprint.schema import Blueprint


def first_batch(blueprint: Blueprint) -> Iterator[Finding]:
    """A first batch larger than what the replay holds by then."""
    clock, environment, batch = clock_of(blueprint), blueprint.environment, blueprint.algorithm.batch_size
    # The usual single interaction between warm-up and first update is not counted.
    waits = max(blueprint.algorithm.update_schedule(environment.info).untrained - 1, 0)
    held = max(clock.warmup + waits, clock.rollout) * environment.copies_per_seed
    is_first = environment.is_simulator and not environment.learns_from_data
    if is_first and held < batch and lengths_of(blueprint).update:
        message = f"the first updates draw {batch:,} transitions out of {held:,}, each several times"
        yield ("algorithm", "warmup_interactions"), message


def forgotten_warmup(blueprint: Blueprint) -> Iterator[Finding]:
    """A replay that has lost part of the warm-up before the first update."""
    made = clock_of(blueprint).warmup * blueprint.environment.copies_per_seed
    capacity = blueprint.replay.capacity
    if blueprint.algorithm.learns_from_replay and capacity < made:
        message = f"keeps {capacity:,} of the {made:,} transitions of the warm-up: the rest is never learned from"
        yield ("replay", "capacity"), message


def longer_than_an_episode(blueprint: Blueprint) -> Iterator[Finding]:
    """n-step windows that no episode is long enough for."""
    info = blueprint.environment.info
    longest = blueprint.algorithm.update_schedule(info).n_step
    if blueprint.environment.is_simulator and longest > info.episode_interactions:
        message = f"sums {longest:,} rewards, and an episode has {info.episode_interactions:,}: windows end with it"
        yield ("algorithm", "n_step"), message


def patient_stopping(blueprint: Blueprint) -> Iterator[Finding]:
    """What the environment finds of its own plan, such as early stopping that waits for longer than its phase."""
    yield from blueprint.environment.warnings(blueprint.algorithm.batch_size)


def phases_after_the_end(blueprint: Blueprint) -> Iterator[Finding]:
    """A phase of a simulator that begins after the end of the run."""
    environment, end = blueprint.environment, lengths_of(blueprint).interaction
    stages = environment.stages(blueprint.algorithm.batch_size) if environment.is_simulator else ()
    if late := [stage for stage in stages if stage.start >= end]:
        stride = environment.stride
        about = f"{late[0].words.partition(':')[0]} would begin after {late[0].start * stride:,} environment steps"
        yield ("training", "env_steps"), f"the run ends at {end * stride:,}: {about}"
