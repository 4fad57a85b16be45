"""``composer study check``: the points of a study, what each sets, and its runs.

Tests: tests/studies/study/test_check.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from composer.spec.quantities import counted
from composer.studies.study.load import Study
from composer.studies.study.points import shown

MAX_SHOWN = 100
"""Points that the text lists."""


def answer(study: Study) -> dict[str, Any]:
    """The study as a table of plain values."""
    return {
        "status": "valid",
        "ok": True,
        "problems": [],
        "warnings": [warning.as_dict() for warning in study.warnings],
        "study": study.name,
        "description": study.description,
        "file": str(study.file),
        "axes": {axis: [*values] for axis, values in study.axes.items()},
        "tasks": [*study.tasks],
        "seeds": [*study.seeds],
        "points": [
            {
                "name": point.name,
                "values": dict(point.values),
                "blueprint": point.blueprint,
                "overrides": [*point.overrides],
            }
            for point in study.points
        ],
        "runs": [
            {
                "point": run.point.name,
                "task": run.task,
                "seeds": [*run.blueprint.seeds],
                "digest": run.key,
                "arguments": [*run.arguments],
            }
            for run in study.runs
        ],
    }


def text(table: dict[str, Any]) -> str:
    """The axes, what holds at every point, and a line per point with what it sets beside that."""
    points, runs = table["points"], table["runs"]
    seeds = " or ".join(counted(number, "seed") for number in sorted({len(run["seeds"]) for run in runs}))
    counts = f"{counted(len(points), 'point')} on {counted(len(table['tasks']), 'task')}"
    lines = [f"{table['study']}: {counts}, {seeds} each: {counted(len(runs), 'run')}"]
    lines += [table["description"]] if table["description"] else []
    lines += [f"{axis} = {', '.join(map(shown, values))}" for axis, values in table["axes"].items()]
    lines.append(f"tasks: {', '.join(table['tasks'])}")
    common = _common([[point["blueprint"], *point["overrides"]] for point in points])
    lines += [f"every point: {' '.join(common)}"] if common else []
    width = max(len(point["name"]) for point in points)
    for point in points[:MAX_SHOWN]:
        own = [each for each in (point["blueprint"], *point["overrides"]) if each not in (*common, point["name"])]
        lines.append(f"  {point['name']:{width}}  {' '.join(own)}".rstrip())
    if len(points) > MAX_SHOWN:
        lines.append(f"  and {len(points) - MAX_SHOWN:,} more points; --json has all")
    return "\n".join(lines)


def _common(overrides: Sequence[Sequence[str]]) -> list[str]:
    """The overrides of every point, where there are several points."""
    return [each for each in overrides[0] if all(each in others for others in overrides)] if len(overrides) > 1 else []
