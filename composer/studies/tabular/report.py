"""The result of a tabular experiment: a table of rows for people and programs, and a plot of its curves.

A table has ``rows``, flat, whose estimates are ``{value, low, high}``, and ``curves`` of ``{panel, line, x, y}``.
Tests: tests/studies/tabular/test_experiments.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from composer.spec.interval import method
from composer.spec.quantities import columns
from composer.studies.plots import COLOURS, DASHES, figure
from composer.studies.statistics import span

MARKED: Final = 20
"""Points of a curve that are marked, if there are no more."""

INSIDE: Final = 4
"""Lines that a legend inside of the first panel has room for."""


def text(table: Mapping[str, Any]) -> str:
    """What was measured and how, then a line per row."""
    settings = ", ".join(f"{key} {_cell(value)}" for key, value in table["settings"].items())
    heads = list(dict.fromkeys(key for row in table["rows"] for key in row))
    lines = [[head.replace("_", " ") for head in heads]]
    lines += [[_cell(row.get(head, "")) for head in heads] for row in table["rows"]]
    return "\n".join(
        [
            f"{table['experiment']} on the chain {table['chain']}: {table['measured']}",
            f"{settings}; {table['seeds']} seeds, means with their {method()}",
            "",
            *columns(lines),
        ]
    )


def draw(table: Mapping[str, Any], path: Path) -> None:
    """The curves with their intervals, a panel per group; the same bytes each time.

    Axes are logarithmic, unless ``axes`` has another ``scale``.
    """
    panels = list(dict.fromkeys(curve["panel"] for curve in table["curves"]))
    lines = list(dict.fromkeys(curve["line"] for curve in table["curves"]))
    scale = table["axes"].get("scale", "log")
    with figure(path, 1.6 + 2.6 * len(panels) + (1.4 if len(lines) > INSIDE else 0), 3.0) as made:
        for axes, panel in zip(made.subplots(1, len(panels), squeeze=False, sharey=True)[0], panels, strict=True):
            for curve in table["curves"]:
                if curve["panel"] == panel:
                    _draw(axes, curve, lines.index(curve["line"]))
            axes.set(xscale=scale, yscale=scale, xlabel=table["axes"]["x"])
            axes.set_title(panel, fontsize=9, loc="left")
        first = made.axes[0]
        first.set_ylabel(table["axes"]["y"])
        if len(lines) <= INSIDE:
            first.legend(loc="best")
        else:
            made.legend(*first.get_legend_handles_labels(), loc="outside right upper")


def _draw(axes: Any, curve: Mapping[str, Any], number: int) -> None:
    look = {"color": COLOURS[number % len(COLOURS)], "linestyle": DASHES[number % len(DASHES)]}
    axes.plot(
        curve["x"],
        [point["value"] for point in curve["y"]],
        marker="o" if len(curve["x"]) <= MARKED else None,
        markersize=3,
        label=curve["line"],
        **look,
    )
    if curve["y"][0]["low"] is not None:
        low, high = ([point[bound] for point in curve["y"]] for bound in ("low", "high"))
        axes.fill_between(curve["x"], low, high, color=look["color"], alpha=0.18, linewidth=0)


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return span(value, ".3g")
    return f"{value:.3g}" if isinstance(value, float) else str(value)
