"""Problems of learning from a data set: algorithms that cannot, and settings that need one.

Tests: tests/environments/test_offline.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from composer.blueprint.schema import Blueprint
    from composer.blueprint.syntax.positions import Path


def offline(blueprint: Blueprint) -> Iterator[tuple[str | Path, str]]:
    """With a data set, and without one."""
    algorithm, environment = blueprint.algorithm, blueprint.environment
    if not environment.learns_from_data:
        if blueprint.normalization.observation.needs_data:
            why = f"{environment.kind!r} has no data set, whose moments these would be: use 'rs_norm'"
            yield ("normalization", "observation"), why
        return
    if not algorithm.learns_from_replay:
        why = f"{algorithm.title} does not learn from transitions of other policies, which data are"
        yield ("environment", "kind"), why
    if algorithm.assessment is not None:
        why = f"{algorithm.title} assesses its policies by acting, which no offline part does: leave it out"
        yield ("algorithm",), why
    has_own = environment.own_interactions(blueprint.training.env_steps) > 0
    if has_own and blueprint.replay.sampling.has_priorities and environment.draws_uniformly:
        why = "priorities of data and of own transitions are kept apart: use 'mix' or 'replace'"
        yield ("environment", "online"), why
