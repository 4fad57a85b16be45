"""What ``composer retention`` writes: a table for people, a page with pictures for the benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from composer.studies.compare.plot import COLOURS, STYLE
from composer.studies.retention.retention import METRIC, Course
from composer.studies.statistics import Curve


def text(table: Mapping[str, Any]) -> str:
    """Agents in the order of what they kept, then the proxies."""
    edge = table["edge"]
    rows = [["", "seeds", f"first {edge} tasks", f"last {edge} tasks", "change", "p", "against plain", ""]]
    rows += [_agent(row) for row in table["agents"]]
    proxies = [["proxy", "with accuracy, over tasks", "over runs"]] + [_proxy(row) for row in table["proxies"]]
    return "\n".join([*_columns(rows), "", *(_columns(proxies) if table["proxies"] else [])]).rstrip()


def page(table: Mapping[str, Any], pictures: Sequence[str]) -> str:
    """The body of a Markdown page: both tables and the pictures."""
    edge = table["edge"]
    heads = [
        "agent",
        "seeds",
        f"first {edge} tasks",
        f"last {edge} tasks",
        "change",
        "p (paired t)",
        "last − plain's last",
        "",
    ]
    lines = [*_markdown(heads, map(_agent, table["agents"])), ""]
    lines += [f"![{name}]({name})\n" for name in pictures]
    lines += _markdown(
        ["proxy", "rank correlation with accuracy over tasks, plain run", "over runs, at the end"],
        map(_proxy, table["proxies"]),
    )
    return "\n".join(lines) + "\n"


def draw(courses: Sequence[Course], path: Path) -> None:
    """Accuracy at the end of each task, one panel an agent beside the plain one; the same bytes each time."""
    import matplotlib
    import numpy as np
    from matplotlib.figure import Figure

    columns = min(4, len(courses))
    lines = -(-len(courses) // columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.5 * columns, 1.9 * lines), layout="constrained")
        panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).flatten()
        steps = np.arange(1, courses[0].accuracy.shape[1] + 1)
        for axes, each in zip(panels, courses, strict=False):
            for shown, colour in ((courses[0], "#999999"), (each, COLOURS[0])):
                mean, low, high = Curve(steps, shown.accuracy).band()
                axes.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
                axes.plot(steps, mean, color=colour, linewidth=1.4)
            axes.set_title(each.name.replace("_", " "), fontsize=9, loc="left")
            axes.set_ylim(0, 1.02)
        for axes in panels[len(courses) :]:
            axes.set_axis_off()
        figure.supxlabel("task", fontsize=9)
        figure.supylabel(METRIC.split("/")[1], fontsize=9)
        figure.savefig(path, dpi=170, metadata={"Date": None} if path.suffix == ".svg" else {"Software": None})


def _agent(row: Mapping[str, Any]) -> list[str]:
    p = "" if row["p_value"] is None else "< 0.001" if row["p_value"] < 0.001 else f"{row['p_value']:.3f}"
    gain = "" if row["gain_over_plain"] is None else _span(row["gain_over_plain"], signed=True)
    name, count = row["agent"].replace("_", " "), str(len(row["seeds"]))
    return [
        name,
        count,
        _span(row["first"]),
        _span(row["last"]),
        _span(row["change"], signed=True),
        p,
        gain,
        row["verdict"],
    ]


def _proxy(row: Mapping[str, Any]) -> list[str]:
    across = "" if row["across"] is None else f"{row['across']:+.2f} ({row['runs']} runs)"
    return [row["proxy"], _span(row["within"], signed=True), across]


def _span(estimate: Mapping[str, float], signed: bool = False) -> str:
    form = "+.2f" if signed else ".2f"
    return f"{estimate['value']:{form}} [{estimate['low']:{form}}, {estimate['high']:{form}}]"


def _columns(body: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in body) for column in range(len(body[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in body]


def _markdown(heads: Sequence[str], rows: Any) -> list[str]:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
