"""The values by which runs are arranged in a figure: settings of blueprints, axes of a study, name, variant and task.

Tests: tests/studies/figures/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from composer.spec.wording import suggestion
from composer.studies import Refused
from composer.studies.compare.groups import Group
from composer.studies.compare.read_runs import SHOWN, settings

ABSENT: Final = "absent"
"""Value of a setting that a blueprint lacks."""


@dataclass(frozen=True)
class Placed:
    """A group of runs with its values."""

    group: Group
    values: Mapping[str, Any]
    """Settings by their flattened keys, axes of the study by their names, ``name``, ``variant`` and ``task``."""
    axes: Mapping[str, Any]
    """The same, of what may have panels of its own: the task, and the study's axes, or name and variant."""

    def value(self, key: str) -> Any:
        """The value of ``key``; of a list with one entry, that entry. ``ABSENT`` where there is none."""
        if key not in self.values and f"{key}[1]" not in self.values:
            key = f"{key}[0]"
        return self.values.get(key, ABSENT)


def place(groups: Sequence[Group]) -> list[Placed]:
    """The groups with their values; where a study trained every run, its axes are among them."""
    return [_placed(group) for group in groups]


def _placed(group: Group) -> Placed:
    run = group.runs[0]
    named = {"task": group.task, "name": group.agent.name, "variant": group.agent.variant or "base"}
    return Placed(
        group, {**settings(run.blueprint), **named, **run.point}, {"task": group.task, **(run.point or named)}
    )


def column(placed: Sequence[Placed], key: str) -> list[Any]:
    """The value of ``key`` of each group; raises Refused where none has it."""
    found = [each.value(key) for each in placed]
    if all(value == ABSENT for value in found):
        known = dict.fromkeys(name for each in placed for name in each.values)
        raise Refused(f"no run has the setting {key!r}{suggestion(key, known)}")
    return found


def varying(placed: Sequence[Placed], without: Sequence[str]) -> list[str]:
    """Keys in which groups differ, without those named, and without settings that follow from these."""
    keys = dict.fromkeys(key for each in placed for key in each.values)
    base = [tuple(str(each.value(key)) for key in without) for each in placed]
    found: list[str] = []
    for key in keys:
        own = [str(each.value(key)) for each in placed]
        # A setting that has one value at each combination of the named ones says nothing more.
        if key not in without and len(set(zip(base, own, strict=True))) > len(set(base)):
            found.append(key)
    return found


def in_order(values: Sequence[Any]) -> list[Any]:
    """The distinct values: numbers first and ascending, others in the order in which they come."""
    distinct = list(dict.fromkeys(values))
    numbers = [value for value in distinct if is_number(value)]
    return sorted(numbers) + [value for value in distinct if not is_number(value)]


def is_number(value: Any) -> bool:
    """Whether a value has a place on an axis of numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def shown(value: Any) -> str:
    """A value as the label of a row or a column."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


def named(each: Placed, keys: Sequence[str]) -> str:
    """``width=64, ratio=2`` of the keys, at most ``SHOWN`` of them."""
    return ", ".join(f"{key}={shown(each.value(key))}" for key in keys[:SHOWN])
