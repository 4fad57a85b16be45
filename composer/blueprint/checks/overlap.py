"""Problems of environments that step while updates run. Tests: tests/training/test_overlap.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from composer.blueprint.forecast.clock import clock_of

if TYPE_CHECKING:
    from composer.blueprint.schema import Blueprint
    from composer.blueprint.syntax.positions import Path


def overlap(blueprint: Blueprint) -> Iterator[tuple[str | Path, str]]:
    """Where ``training.overlap`` cannot be."""
    if blueprint.training.overlap and not blueprint.algorithm.learns_from_replay:
        why = f"{blueprint.algorithm.kind} does not learn from a replay: its updates have to wait for new data"
        yield ("training", "overlap"), why
    elif blueprint.training.overlap and blueprint.algorithm.assessment is not None:
        why = "whether updates are made follows from the step of the environment, which must be done before them"
        yield ("training", "overlap"), why
    elif blueprint.training.overlap and _updates_at_once(blueprint):
        why = "the first update comes beside the first environment step, before a transition is stored: 2 or more"
        yield ("algorithm", "warmup_interactions"), why
    elif blueprint.training.overlap and blueprint.environment.stays_in_thread:
        why = "one thread alone draws its pictures, and steps beside updates are another's: environment.workers = 1"
        yield ("training", "overlap"), why


def _updates_at_once(blueprint: Blueprint) -> bool:
    """Whether the first update comes after the first interaction, with nothing else to draw from."""
    return bool(clock_of(blueprint).updates_after(1)) and not blueprint.environment.learns_from_data
