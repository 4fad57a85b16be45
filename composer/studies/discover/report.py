"""What ``composer discover`` says: the diverse subset so far, and the points to train next.

Tests: tests/studies/discover/test_discover.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from composer.spec.quantities import columns, counted
from composer.studies.discover.discover import Question, discover
from composer.studies.scale.numbers import number, spanned
from composer.studies.study.load import load_study


def answer(
    file: str, question: Question, runs: Path, out: Path | None, rounds: int, jobs: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Choose points of a study, and train them for a number of rounds. Raises BlueprintError and Refused."""
    study = load_study(file, is_to_run=rounds > 0)
    return discover(study, question, out or runs.parent / "studies" / study.name, runs, rounds, jobs, say)


def text(table: Mapping[str, Any]) -> str:
    """Two tables."""
    trained, points = table["trained"], table["points"]
    lines = [f"{table['study']}: {trained:,} of {counted(points, 'point')} trained, by {table['metric']}"]
    if table["unit"] != "metric":
        lines.append(f"scores are in {table['unit']}")
    lines += [f"effects are against {table['reference']}", ""]
    if table["subset"]:
        lines += ["large and diverse so far:", *_subset(table["subset"]), ""]
    lines += _suggested(table)
    lines += [f"note: {note}" for note in table["notes"]]
    if table["subset"]:
        lines.append(f"intervals: {table['interval']['method']}")
    return "\n".join(lines)


def _subset(members: list[dict[str, Any]]) -> list[str]:
    rows = [["", "effect", "adds", "from the nearest other"]]
    rows += [
        [each["point"], spanned(each["effect"]), number(each["adds"]), number(each["distance"])] for each in members
    ]
    return [f"  {line}" for line in columns(rows)]


def _suggested(table: Mapping[str, Any]) -> list[str]:
    suggested = table["suggested"]
    if not suggested:
        return ["every point is trained"]
    if table["design"] == "space-filling":
        named = (f"  {each['point']}" for each in suggested)
        return ["too few points are trained for a prediction; next, to fill the space:", *named]
    rows = [["", "predicted effect", "in the subset", "information, nats", "from the nearest trained"]]
    for each in suggested:
        share, nats = f"{each['in_subset']:.0%}", f"{each['information_nats']:.2f}"
        rows.append([each["point"], spanned(each["effect"]), share, nats, number(each["distance"])])
    return ["train next:", *(f"  {line}" for line in columns(rows))]
