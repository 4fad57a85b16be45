"""Advice on data and time: replay, warm-up, discounts, schedules."""

from __future__ import annotations

import math
from collections.abc import Iterator

from composer.blueprint.inspect.lint.base import Finding, Subject, rule


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
