"""A scaling law as a picture: seeds, their mean by size, the law with its interval, and the size that was held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from composer.spec.wording import shorten
from composer.studies.plots import COLOURS, GREY, figure
from composer.studies.scale.numbers import size_text
from composer.studies.scale.scale import Rung, Scaling

POINTS, LINE, LONGEST, ASIDE = 100, 42, 120, 0.04
"""Points of a curve; characters of a line and of a name; a step aside, in shares of the size."""


def draw(found: Sequence[Scaling], made: Mapping[str, Any], path: Path) -> None:
    """Write the figure to ``path``, the same bytes each time; raises Refused."""
    with figure(path, 5.2, 3.8) as drawn:
        axes = drawn.subplots()
        axes.set_xscale("log")
        if all(each.law.sample.is_log for each in found):
            axes.set_yscale("log")
        for number, (each, series) in enumerate(zip(found, made["series"], strict=True)):
            # Marks of several agents at one size stand beside each other.
            aside = 1 + ASIDE * (number - (len(found) - 1) / 2)
            _series(axes, each, series, COLOURS[number % len(COLOURS)], aside)
        axes.set_xlabel(made["over"])
        axes.set_ylabel(fill(made["target"], LINE))
        _ticks(axes, found)
        _explain(axes, found)
        axes.legend(loc="best", fontsize=7.5)


def _series(axes: Any, each: Scaling, series: Mapping[str, Any], colour: str, aside: float) -> None:
    law, fitted = each.law, each.law.sample.distinct
    ends = [*fitted, *(rung.x for rung in each.rungs), *(at["x"] for at in series["predictions"])]
    for low, high, style in (
        (fitted[0], fitted[-1], "-"),
        (fitted[-1], max(ends), "--"),
        (min(ends), fitted[0], "--"),
    ):
        if low < high:
            x = np.geomspace(low, high, POINTS)
            value, lower, upper = np.array([law.at(float(one)) for one in x]).T
            axes.plot(x, value, style, color=colour, linewidth=1.4)
            axes.fill_between(x, lower, upper, color=colour, alpha=0.15, linewidth=0)
    for rung in each.rungs:
        _rung(axes, rung, law.sample.is_log, colour, aside)
    exponent = series["law"]["b"]
    span = "" if exponent["low"] is None else f" [{exponent['low']:.2f}, {exponent['high']:.2f}]"
    name = fill(shorten(each.name, LONGEST), LINE)
    axes.plot([], [], "o-", color=colour, label=f"{name}\nexponent {exponent['value']:.2f}{span}")
    for at in series["held_out"]:
        where = at["of_new_seeds"]
        if where["low"] is not None:
            axes.plot([at["x"] * aside] * 2, [where["low"], where["high"]], color=colour, linewidth=5, alpha=0.3)


def _explain(axes: Any, found: Sequence[Scaling]) -> None:
    """Legend entries of the marks that are there."""
    rungs = [rung for each in found for rung in each.rungs]
    if any(rung.is_held_out for rung in rungs):
        axes.plot([], [], "o", color=GREY, mfc="white", label="held out; bar: what the law predicts of it")
    if any(rung.side.any() for rung in rungs):
        axes.plot(
            [],
            [],
            "^",
            color=GREY,
            mfc="none",
            markersize=4,
            label="a bound: not reached in the run, or before its first row",
        )


def _rung(axes: Any, rung: Rung, is_log: bool, colour: str, aside: float) -> None:
    x, is_value = np.full(len(rung.values), rung.x * aside), rung.side == 0
    axes.plot(x[is_value], rung.values[is_value], ".", color=colour, alpha=0.35, markersize=3)
    axes.plot(x[~is_value], rung.values[~is_value], "^", color=colour, alpha=0.5, markersize=4, mfc="none")
    middle = rung.measured(is_log)
    if np.isfinite(middle.value):
        low, high = (0.0, 0.0) if np.isnan(middle.low) else (middle.value - middle.low, middle.high - middle.value)
        look = {"fmt": "o", "color": colour, "mfc": "white" if rung.is_held_out else colour, "markersize": 5.5}
        axes.errorbar(x[0], middle.value, [[low], [high]], linewidth=1.2, **look)


def _ticks(axes: Any, found: Sequence[Scaling]) -> None:
    """The sizes themselves, where there are few."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    sizes = sorted({rung.x for each in found for rung in each.rungs})
    if len(sizes) <= 8:
        axes.set_xticks(sizes, [size_text(size) for size in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
    if axes.get_yscale() == "log":
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: size_text(value)))
        axes.yaxis.set_minor_formatter(NullFormatter())
