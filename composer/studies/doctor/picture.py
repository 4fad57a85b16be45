"""The doctor's picture: both arms' curves after the run's own, and the gain of every pair.

Tests: tests/studies/test_doctor.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from composer.studies.compare.plot import COLOURS, STYLE

if TYPE_CHECKING:
    from composer.studies.statistics import Curve

BEFORE = 2
"""Horizons of the run's own past that are shown."""
GREY = "#777777"


def draw(path: Path, history: Curve | None, plain: Curve, injected: Curve, table: Mapping[str, Any]) -> None:
    """Write a PNG or SVG, the same bytes each time."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.2, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[2.2, 1])
        _curves(left, history, plain, injected, table)
        _gains(right, table)
        left.set_title(f"{table['verdict']}: mean and 95% interval", fontsize=9, loc="left")
        figure.savefig(path, dpi=170, metadata={"Date": None} if path.suffix == ".svg" else {"Software": None})


def _curves(axes: Any, history: Curve | None, plain: Curve, injected: Curve, table: Mapping[str, Any]) -> None:
    from matplotlib.ticker import EngFormatter

    step = table["env_step"]
    arms = [("as it was", plain, COLOURS[1], "--"), ("fresh weights injected", injected, COLOURS[0], "-")]
    shown = [("the run", history, GREY, "-"), *arms] if history is not None else arms
    for label, curve, colour, dash in shown:
        mean, low, high = curve.band()
        kept = curve.steps >= step - BEFORE * table["horizon"]
        marker = "o" if kept.sum() == 1 else None
        axes.fill_between(curve.steps[kept], low[kept], high[kept], color=colour, alpha=0.2, linewidth=0)
        axes.plot(
            curve.steps[kept], mean[kept], color=colour, linestyle=dash, linewidth=1.6, marker=marker, label=label
        )
    axes.axvline(step, color=GREY, linewidth=0.8, linestyle=":")
    axes.set_xlabel("environment steps")
    axes.set_ylabel(table["metric"].replace("/", " "))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.legend(loc="best")


def _gains(axes: Any, table: Mapping[str, Any]) -> None:
    """One point a pair, a column a seed; the mean with its interval at the right."""
    seeds = list(dict.fromkeys(pair["seed"] for pair in table["pairs"]))
    places = [seeds.index(pair["seed"]) for pair in table["pairs"]]
    gains = np.array([pair["injected"] - pair["plain"] for pair in table["pairs"]])
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.plot(places, gains, "o", color=COLOURS[0], markersize=3.5, alpha=0.6)
    gain, place = table["gain"], len(seeds) + 0.3
    if gain["low"] is not None:
        axes.plot([place, place], [gain["low"], gain["high"]], color="black", linewidth=1.6)
    axes.plot([place], [gain["value"]], "D", color="black", markersize=5)
    axes.set_xticks([*range(len(seeds)), place], [*map(str, seeds), "all"])
    axes.set_xlabel("seed")
    axes.set_title("gain, a point a pair", fontsize=9, loc="left")
