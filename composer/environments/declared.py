"""What follows from the declaration of an environment: what an agent learns from, and what a run meets when.

Tests: tests/training/test_run_dataset.py, tests/environments/test_phases.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Contents(NamedTuple):
    """What an agent learns from, for people: a simulator's task, or a data set."""

    name: str
    columns: Mapping[str, str]
    """What a sample has, with types: ``observation`` is ``float32 [24]``."""
    counts: Mapping[str, int]
    """How many steps an episode has, or samples a data set."""
    settings: Mapping[str, Any]
    """The keys that make it, of TOML types; not where its files are, nor how it is stepped."""


class PlannedStage(NamedTuple):
    """A part of a run that the environment plans."""

    start: int
    """Interactions before it."""
    key: str
    """The key of the blueprint that declares it."""
    words: str
    """A description for people."""


class SmallerBatches(NamedTuple):
    """A part of a run in which the last batch of an epoch is smaller than the others."""

    start: int
    """Interactions before the part."""
    every: int
    """Batches of an epoch."""
    size: int
    """Samples of its last batch."""
