"""The result of a tabular experiment: a table of rows for people and programs, and a plot of its curves.

A table has ``rows``, flat, whose estimates are ``{value, low, high}``, and ``curves`` of ``{panel, line, x, y}``.
Tests: tests/studies/tabular/test_experiments.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from composer.studies.compare.plot import COLOURS, DASHES, STYLE
from composer.studies.statistics import Estimate


def estimated(estimate: Estimate) -> dict[str, float | None]:
    """For JSON, which has no NaN: bounds are absent where one seed tells no spread."""
    return {key: bound if math.isfinite(bound) else None for key, bound in estimate._asdict().items()}


def text(table: Mapping[str, Any]) -> str:
    """A line a row, below what was measured and how."""
    settings = ", ".join(f"{key} {_cell(value)}" for key, value in table["settings"].items())
    heads = list(dict.fromkeys(key for row in table["rows"] for key in row))
    lines = [[head.replace("_", " ") for head in heads]]
    lines += [[_cell(row.get(head, "")) for head in heads] for row in table["rows"]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        [
            f"{table['experiment']} on the chain {table['chain']}: {table['measured']}",
            f"{settings}; {table['seeds']} seeds, in brackets the {table['level']:.0%} bootstrap interval of the mean",
            "",
            *("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines),
        ]
    )


def draw(table: Mapping[str, Any], path: Path) -> None:
    """The curves, a panel each, with their intervals, both axes logarithmic; the same bytes each time."""
    import matplotlib
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys(curve["panel"] for curve in table["curves"]))
    lines = list(dict.fromkeys(curve["line"] for curve in table["curves"]))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1.6 + 2.6 * len(panels), 3.0), layout="constrained")
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False, sharey=True)[0], panels, strict=True):
            for curve in table["curves"]:
                if curve["panel"] == panel:
                    _draw(axes, curve, lines.index(curve["line"]))
            axes.set(xscale="log", yscale="log", xlabel=table["axes"]["x"])
            axes.set_title(panel, fontsize=9, loc="left")
        first = figure.axes[0]
        first.set_ylabel(table["axes"]["y"])
        first.legend(loc="best")
        figure.savefig(path, dpi=160, metadata={"Date": None} if path.suffix == ".svg" else {"Software": None})


def _draw(axes: Any, curve: Mapping[str, Any], number: int) -> None:
    look = {"color": COLOURS[number % len(COLOURS)], "linestyle": DASHES[number % len(DASHES)]}
    axes.plot(
        curve["x"], [point["value"] for point in curve["y"]], marker="o", markersize=3, label=curve["line"], **look
    )
    if curve["y"][0]["low"] is not None:
        low, high = ([point[bound] for point in curve["y"]] for bound in ("low", "high"))
        axes.fill_between(curve["x"], low, high, color=look["color"], alpha=0.18, linewidth=0)


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        bounds = "" if value["low"] is None else f" [{value['low']:.3g}, {value['high']:.3g}]"
        return f"{value['value']:.3g}{bounds}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
