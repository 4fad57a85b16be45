"""What ``composer retention`` writes: tables for the terminal, a Markdown page, and a plot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from composer.spec.quantities import columns
from composer.studies.plots import COLOURS, GREY, band, check, figure
from composer.studies.retention.retention import TaskRun, compare
from composer.studies.statistics import Curve, p_text, span


def answer(paths: Sequence[Path], plot: Path | None, page_path: Path | None) -> dict[str, Any]:
    """Compare the runs, the plain one first; also write a plot and a page where they are given."""
    if plot is not None:
        check(plot)
    table, runs = compare(paths)
    if plot is not None:
        draw(runs, plot)
    if page_path is not None:
        page_path.write_text(page(table, [plot.name] if plot else []), encoding="utf-8")
    return table


def text(table: Mapping[str, Any]) -> str:
    """A line per agent, then a line per proxy."""
    edge = table["edge"]
    rows = [["", "seeds", f"first {edge} tasks", f"last {edge} tasks", "change", "p", "against plain", ""]]
    rows += map(_agent, table["agents"])
    proxies = [["proxy", "with the score, over tasks", "over runs"], *map(_proxy, table["proxies"])]
    named = f"means, each with its {table['interval']['method']}"
    return "\n".join([*columns(rows), named, "", *(columns(proxies) if table["proxies"] else [])]).rstrip()


def page(table: Mapping[str, Any], pictures: Sequence[str]) -> str:
    """The body of a Markdown page: both tables and the pictures."""
    edge = table["edge"]
    heads = [
        *("agent", "seeds", f"first {edge} tasks", f"last {edge} tasks"),
        *("change", "p (paired t)", "last − plain's last", ""),
    ]
    named = f"Means, each with its {table['interval']['method']}."
    lines = [*_markdown(heads, map(_agent, table["agents"])), "", named, ""]
    lines += [f"![{name}]({name})\n" for name in pictures]
    lines += _markdown(
        ["proxy", "rank correlation with the score over tasks, plain run", "over runs, at the end"],
        map(_proxy, table["proxies"]),
    )
    return "\n".join(lines) + "\n"


def draw(runs: Sequence[TaskRun], path: Path) -> None:
    """Scores at the end of each task, one panel per run, each with the plain run; the same bytes each time.

    The plain run comes first, then the others by their score on the last tasks, the best one first.
    """
    across, plain = min(4, len(runs)), runs[0]
    ordered = [plain, *sorted(runs[1:], key=lambda run: -run.ends()[1].mean())]
    down = -(-len(runs) // across)
    with figure(path, 2.5 * across, 1.9 * down + 0.3) as made:
        panels = made.subplots(down, across, squeeze=False, sharex=True, sharey=True).flatten()
        tasks = np.arange(1, plain.scores.shape[1] + 1)
        for axes, run in zip(panels, ordered, strict=False):
            band(axes, Curve(tasks, plain.scores, plain.bounds), GREY, linestyle="--", label=_title(plain))
            if run is not plain:
                band(axes, Curve(tasks, run.scores, run.bounds), COLOURS[0], label="as titled")
            axes.set_title(_title(run), fontsize=9, loc="left")
            if plain.bounds == (0.0, 1.0):
                axes.set_ylim(0, 1.02)
        for number, axes in enumerate(panels):
            # The lowest panel of a column has the labels of its axis, also above an empty place.
            axes.tick_params(labelbottom=len(runs) - across <= number < len(runs))
            axes.set_axis_on() if number < len(runs) else axes.set_axis_off()
        made.supxlabel("task", fontsize=9)
        made.supylabel(plain.metric.split("/")[1], fontsize=9)
        if len(ordered) > 1:
            made.legend(*panels[1].get_legend_handles_labels(), loc="outside upper right", ncols=2)


def _title(run: TaskRun) -> str:
    return run.name.replace("_", " ")


def _agent(row: Mapping[str, Any]) -> list[str]:
    p_value, gain = row["p_value"], row["gain_over_plain"]
    form = ".2f" if abs(row["first"]["value"]) < 10 else ".1f"
    return [
        row["agent"].replace("_", " "),
        str(len(row["seeds"])),
        span(row["first"], form),
        span(row["last"], form),
        span(row["change"], f"+{form}"),
        "" if p_value is None else p_text(p_value),
        "" if gain is None else span(gain, f"+{form}"),
        row["verdict"],
    ]


def _proxy(row: Mapping[str, Any]) -> list[str]:
    across = "" if row["across"] is None else f"{row['across']:+.2f} ({row['runs']} runs)"
    return [row["proxy"], span(row["within"], "+.2f"), across]


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
