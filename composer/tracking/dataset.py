"""What a run learns from, for a tracking store. Tests: tests/tracking/test_mlflow_store.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Dataset:
    """What the agent of a run learns from, a simulator's task or a data set, by which a store finds and groups runs."""

    name: str
    digest: str
    """Of at most 36 characters: equal digests, equal content."""
    columns: Mapping[str, str]
    """What a sample has, with types."""
    counts: Mapping[str, int]
    source: Mapping[str, Any]
    """Settings and versions that make it, as JSON has them."""
    environments: int = 0
    """How many of it the run steps; 0 for a data set."""
