"""An ablation as text, as a sentence, as CSV and JSON, and as a forest plot.

Tests: tests/studies/ablation/test_ablate.py.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from composer.spec.quantities import columns as aligned
from composer.spec.quantities import counted
from composer.studies.plots import COLOURS, GREY, Look, figure

TITLES = {"leave_one_out": "leaving it out", "add_one_in": "adding it alone"}
MOST_PANELS = 4
LOOKS = {
    "useful": Look(COLOURS[2], "-", "^"),
    "harmful": Look(COLOURS[1], "-", "v"),
    "no effect": Look(GREY, "-", "s"),
    "undecided": Look(COLOURS[4], "-", "o"),
}
"""By verdict; print without colour has the marker."""
FIELDS = ("value", "low", "high", "margin", "seeds", "p_differs", "p_equivalent", "verdict")


def plan_text(table: Mapping[str, Any]) -> str:
    """The arms with the command that trains each by hand, and what is left out."""
    seeds, runs = counted(len(table["seeds"]), "seed"), counted(len(table["runs"]), "run")
    lines = [f"{runs} of {seeds} each, {counted(len(table['components']), 'component')}:"]
    lines += aligned([[run["arm"], run["task"], run["command"]] for run in table["runs"]])
    lines += [f"left out: {each['component']} ({each['kind']}), {each['why']}" for each in table["skipped"]]
    return "\n".join(lines)


def text(table: Mapping[str, Any]) -> str:
    """A table of effects per column and task, notes, and the sentence."""
    lines = [f"{table['metric']}: what each component adds, with the {table['method']}"]
    for column, title in TITLES.items():
        for task in _tasks(table, column):
            margin = _cells(table, column, task)[0][1]["final"]["margin"]
            lines += ["", f"{title}, on {task} (margin {margin:.3g})"]
            body = [["", "final score", "verdict", "area under the curve", "verdict"]]
            for row, cell in _cells(table, column, task):
                final, area = cell["final"], cell["area"]
                body.append([row["name"], span(final), shown_verdict(row, final), span(area), area["verdict"]])
            lines += aligned(body)
    lines += ["", *(f"note: {note}" for note in table["notes"]), table["sentence"]]
    if "folder" in table:
        lines.append(f"tables and pictures are in {table['folder']}")
    return "\n".join(lines)


def span(found: Mapping[str, Any]) -> str:
    """``+0.31 [0.20, 0.42]``."""
    size = max((abs(found[name] or 0.0) for name in ("value", "low", "high")), default=0.0)
    places = 3 if size == 0 else min(4, max(0, 2 - math.floor(math.log10(size))))
    value = f"{found['value']:+.{places}f}"
    return value if found["low"] is None else f"{value} [{found['low']:.{places}f}, {found['high']:.{places}f}]"


def shown_verdict(row: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """The verdict of a cell; of an intervention that never fired, that."""
    if row.get("fired") == 0:
        return "never fired"
    return f"{found['verdict']} (diverged without it)" if row["diverged_without"] else str(found["verdict"])


def sentence(table: Mapping[str, Any]) -> str:
    """What the seeds decide about each component when it is left out."""
    by: dict[str, list[str]] = {}
    for row in table["components"]:
        by.setdefault(row["verdict"], []).append(row["component"])
    words = {
        "useful": "useful",
        "harmful": "harmful",
        "no effect": "without effect (beyond the margin)",
        "undecided": "undecided",
        "never fired": "never fired",
        "failed": "not measured, for the run without it failed",
    }
    parts = [f"{words[verdict]}: {', '.join(by[verdict])}" for verdict in words if verdict in by]
    seeds = counted(len(table["seeds"]), "paired seed")
    return f"With {seeds} and {table['level']:.0%} confidence over all components: {'; '.join(parts)}."


def figures(table: Mapping[str, Any], folder: Path) -> None:
    """Write ``ablation.json``, ``ablation.csv`` and ``ablation.png`` below the study's folder."""
    (folder / "ablation.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    with (folder / "ablation.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["component", "kind", "column", "task", "score", *FIELDS])
        for row, column, task, score, cell in _all(table):
            writer.writerow([row["component"], row["kind"], column, task, score, *(cell[name] for name in FIELDS)])
    forest(table, folder / "ablation.png")


def forest(table: Mapping[str, Any], path: Path) -> None:
    """A row per component and a panel per column and task: the effect, its interval, and the margin as a band.

    Of more than ``MOST_PANELS`` tasks, all of them together alone.
    """
    shown = [column for column in TITLES if _tasks(table, column)]
    tasks = _tasks(table, shown[0])
    tasks = tasks if len(tasks) <= MOST_PANELS else tasks[-1:]
    names = [row["name"] for row in table["components"]]
    width = 0.6 + 0.055 * max(map(len, names)) + 2.6 * len(tasks)
    with figure(path, width, 0.6 + (0.75 + 0.24 * len(names)) * len(shown)) as made:
        grid = made.subplots(len(shown), len(tasks), sharey=True, sharex="col", squeeze=False)
        for row, column in zip(grid, shown, strict=True):
            for axes, task in zip(row, tasks, strict=True):
                _panel(axes, table, column, task)
            row[0].set_yticks(range(len(names)), names[::-1], fontsize=7)
        grid[0][0].set_ylim(-0.6, len(names) - 0.4)
        for axes, task in zip(grid[-1], tasks, strict=True):
            # Over tasks effects are shares of the scale of each: see ``ablate``.
            unit = "" if len(tasks) == 1 or task != tasks[-1] else ", share of the scale"
            axes.set_xlabel(f"effect on the final score{unit}", fontsize=8)
        made.legend([_mark(own) for own in LOOKS.values()], list(LOOKS), loc="outside lower center", ncols=4)


def _panel(axes: Any, table: Mapping[str, Any], column: str, task: str) -> None:
    """The effects of one column on one task."""
    rows = table["components"]
    axes.set_title(f"{TITLES[column]}, {task}", fontsize=8)
    axes.axvline(0, color="#555555", linewidth=0.8)
    for row, cell in _cells(table, column, task):
        final, at = cell["final"], len(rows) - 1 - rows.index(row)
        own = LOOKS["no effect" if row.get("fired") == 0 else final["verdict"]]
        if row is _cells(table, column, task)[0][0]:
            axes.axvspan(-final["margin"], final["margin"], color="#EEEEEE", linewidth=0)
        if final["low"] is not None:
            axes.plot([final["low"], final["high"]], [at, at], color=own.colour, linewidth=1.6)
        axes.plot([final["value"]], [at], own.marker, color=own.colour, markersize=4)


def _mark(own: Look) -> Any:
    """A mark of the legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=own.colour, marker=own.marker, markersize=4)


def _tasks(table: Mapping[str, Any], column: str) -> list[str]:
    """Tasks, and all together, that some component has an effect on in a column."""
    return list(dict.fromkeys(task for row in table["components"] for task in row[column] or {}))


def _cells(table: Mapping[str, Any], column: str, task: str) -> Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    return [(row, row[column][task]) for row in table["components"] if task in (row[column] or {})]


def _all(table: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str, str, str, Mapping[str, Any]]]:
    for row in table["components"]:
        for column in TITLES:
            for task, scores in (row[column] or {}).items():
                for score, cell in scores.items():
                    yield row, column, task, score, cell
