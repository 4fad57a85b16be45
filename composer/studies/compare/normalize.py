"""Normalised scores: curves between the scores that count as 0 and as 1, by the constants of a cited table.

Scores of tasks of different scales have no common mean: aggregates over tasks need normalised ones, or one scale that
all tasks share. Raw scores are shown beside them. Tests: tests/studies/test_references.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from composer.studies.compare.groups import Group
from composer.studies.compare.references import Constants, chosen_constants, is_share
from composer.studies.statistics import Curve


@dataclass(frozen=True)
class Scale:
    """The scores of a task that count as 0 and as 1."""

    task: str
    low: float
    high: float
    source: Constants | None = None
    """None for a metric that is within 0 and 1 by itself."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        found = {"low": self.low, "high": self.high}
        if self.source is None:
            return {"name": None, **found}
        return {
            "name": self.source.name,
            "title": self.source.title,
            **found,
            "citation": self.source.citation,
            "url": self.source.url,
        }

    def apply(self, curve: Curve) -> Curve:
        """The curve of normalised scores."""
        low, high = ((bound - self.low) / (self.high - self.low) for bound in curve.bounds)
        return Curve(curve.steps, (curve.values - self.low) / (self.high - self.low), (low, high))


def scale_of(group: Group, name: str) -> Scale | None:
    """The scale of a group's task by the constants ``name``, ``auto`` or ``none``; None where there is none.

    Raises Refused for a name that does not exist.
    """
    reading = group.runs[0]
    tables = chosen_constants(name)
    for table in tables:
        if pair := table.of(reading.blueprint.environment.kind, group.task, reading.metric):
            return Scale(group.task, *pair, table)
    if tables and is_share(group.curve.bounds):
        return Scale(group.task, 0.0, 1.0)
    return None


def normalize(groups: Sequence[Group], name: str, notes: list[str]) -> tuple[dict[str, Scale], tuple[Group, ...]]:
    """Scales by task, and the groups of normalised curves of those tasks; ``notes`` gets the tasks without one."""
    scales = {group.task: scale for group in groups if (scale := scale_of(group, name)) is not None}
    missing = sorted({group.task for group in groups} - scales.keys())
    if missing and name not in ("auto", "none"):
        notes.append(f"{name} has no constants for {', '.join(missing)}: their scores stay as they are")
    made = [replace(group, curve=scales[group.task].apply(group.curve)) for group in groups if group.task in scales]
    return scales, tuple(made)
