"""Advice on data and time: replay, warm-up, discounts, schedules."""

from __future__ import annotations

import math
from collections.abc import Iterator

from composer.blueprint.forecast.timeline import timeline
from composer.blueprint.inspect.lint.base import Finding, Subject, rule
from composer.blueprint.syntax.nodes import read_path


@rule("short-replay", "info", "Fedus et al., arXiv:2007.06700")
def short_replay(subject: Subject) -> Iterator[Finding]:
    """A replay that forgets before the run ends."""
    capacity, environment = subject.blueprint.replay.capacity, subject.blueprint.environment
    if subject.blueprint.algorithm.learns_on_policy:
        return
    made = subject.interactions * environment.copies_per_seed if environment.is_simulator else 0
    if capacity < made:
        message = (
            f"keeps {capacity:,} of the run's {made:,} transitions: capacity changes what is learnt, so say it is meant"
        )
        yield ("replay", "capacity"), message


@rule("no-update", "warn", "argued")
def no_update(subject: Subject) -> Iterator[Finding]:
    """A run that ends before its first update."""
    if subject.updates == 0:
        message = (
            f"the run ends after {subject.interactions:,} interactions, before the first update: nothing is learnt"
        )
        key = "warmup_interactions" if subject.clock.warmup else "rollout_interactions"
        yield ("algorithm", key), message


@rule("small-warmup", "info", "argued")
def small_warmup(subject: Subject) -> Iterator[Finding]:
    """A first batch larger than what the replay then holds."""
    batch, environment = subject.blueprint.algorithm.batch_size, subject.blueprint.environment
    held = max(subject.clock.warmup, subject.clock.rollout) * environment.copies_per_seed
    if environment.is_simulator and held < batch:
        message = f"the first updates draw {batch:,} transitions out of {held:,}, each several times"
        yield ("algorithm", "warmup_interactions"), message


@rule("long-horizon", "info", "Pardo et al., arXiv:1712.00378")
def long_horizon(subject: Subject) -> Iterator[Finding]:
    """A discount that looks further ahead than an episode lasts."""
    discount, episode = (
        subject.blueprint.algorithm.update_schedule(subject.info).discount,
        subject.info.episode_interactions,
    )
    horizon = 1 / (1 - discount) if discount < 1 else math.inf
    if horizon > episode:
        message = (
            f"a horizon of {horizon:,.6g} interactions, 1 / (1 - {discount:g}), in episodes of {episode:,}: most of a "
            "value is bootstrapped from beyond the time limit"
        )
        yield ("algorithm", "discount"), message


@rule("unfinished-schedule", "warn", "argued")
def unfinished_schedule(subject: Subject) -> Iterator[Finding]:
    """A schedule that the run is too short for, even if the warm-up counts as it does in SimbaV2's code."""
    reachable = subject.interactions * subject.clock.update_to_data
    for moment in timeline(subject.blueprint):
        if moment.env_step is None and subject.updates and moment.update > reachable:
            message = f"goes on until update {moment.update:,}; the run makes {subject.updates:,}"
            yield read_path(moment.key) or (), message
