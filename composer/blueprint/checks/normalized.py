"""Normalisations that do not fit the rest of a blueprint. Tests: tests/blueprint/test_load.py."""

from __future__ import annotations

import math
from collections.abc import Iterator

from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.positions import Path


def rewards(blueprint: Blueprint) -> Iterator[tuple[Path, str]]:
    """Scales of rewards that there are none of, or that the data or the algorithm do not allow."""
    declared = blueprint.normalization.reward
    if not blueprint.environment.is_simulator and not declared.is_identity:
        yield ("normalization", "reward"), f"{blueprint.environment.kind!r} gives no rewards: leave it out"
    if declared.needs_episodes and blueprint.environment.learns_from_data:
        message = f"{declared.kind!r} knows the returns of own episodes alone, and there are transitions of a data set"
        yield ("normalization", "reward"), message
    if declared.clips_rewards and blueprint.algorithm.learns_from_replay:
        message = f"{blueprint.algorithm.kind} learns from sums of rewards, which are scaled as a whole: leave it out"
        yield ("normalization", "reward", "clip"), message


def observations(blueprint: Blueprint) -> Iterator[tuple[Path, str]]:
    """Normalisations of observations that do not fit the algorithm or the size."""
    algorithm, is_simulator = blueprint.algorithm, blueprint.environment.is_simulator
    raw_rows = 0 if algorithm.rollout_plan else algorithm.batch_size * (2 if is_simulator else 1)
    for message in blueprint.normalization.observation.problems(algorithm.title, raw_rows):
        yield ("normalization", "observation"), message
    if is_simulator:
        info = blueprint.environment.info
        size = math.prod(info.observation) - info.skill_size
        for message in blueprint.normalization.observation.size_problems(size):
            yield ("normalization", "observation"), message
