"""The doctor's picture: the run's curve up to the fork, both arms after it, and the gain of every pair.

Tests: tests/studies/test_doctor.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from composer.spec.interval import LEAST, method
from composer.studies.plots import COLOURS, GREY, band, figure, over_env_steps
from composer.studies.statistics import Curve

BEFORE = 2
"""Horizons of the run's own past that are shown."""


def draw(
    path: Path,
    history: Curve | None,
    plain: Curve,
    injected: Curve,
    table: Mapping[str, Any],
    begins: int,
    over: str = "environment steps",
) -> None:
    """Write a PNG or SVG, the same bytes each time. ``begins`` is the step of the injection, ``over`` names steps."""
    with figure(path, 8.2, 3.2) as made:
        left, right = made.subplots(1, 2, width_ratios=[2.2, 1])
        _curves(left, history, plain, injected, table, begins)
        left.set_xlabel(over)
        _gains(right, table)
        left.set_title(f"{table['verdict']}: mean and {method(_units(table))}", fontsize=9, loc="left")


def _curves(
    axes: Any, history: Curve | None, plain: Curve, injected: Curve, table: Mapping[str, Any], step: int
) -> None:
    if history is not None:
        recent = history.steps >= step - BEFORE * table["horizon"]
        if recent.any():
            band(axes, history.only(recent), GREY, label="the run")
    band(axes, _by_unit(plain, table), COLOURS[1], linestyle="--", label="unchanged")
    band(axes, _by_unit(injected, table), COLOURS[0], label="fresh weights injected")
    axes.axvline(step, color=GREY, linewidth=0.8, linestyle=":")
    over_env_steps(axes)
    axes.set_ylabel(table["metric"].replace("/", " "))
    axes.legend(loc="best")


def _units(table: Mapping[str, Any]) -> str:
    """What the band is over: seeds, or pairs where there are too few seeds."""
    return "seeds" if _seeds(table) >= LEAST else "pairs"


def _by_unit(curve: Curve, table: Mapping[str, Any]) -> Curve:
    """A curve per unit: that of a seed is the mean over its branches."""
    if _units(table) == "pairs":
        return curve
    values = curve.values.reshape(_seeds(table), -1, len(curve.steps)).mean(1)
    return Curve(curve.steps, values, curve.bounds)


def _seeds(table: Mapping[str, Any]) -> int:
    return len({pair["seed"] for pair in table["pairs"]})


def _gains(axes: Any, table: Mapping[str, Any]) -> None:
    """One point per pair, one column per seed; the mean with its interval on the right."""
    seeds = list(dict.fromkeys(pair["seed"] for pair in table["pairs"]))
    columns = [seeds.index(pair["seed"]) for pair in table["pairs"]]
    gains = np.array([pair["injected"] - pair["plain"] - pair.get("control", 0.0) for pair in table["pairs"]])
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.plot(columns, gains, "o", color=COLOURS[0], markersize=3.5, alpha=0.6)
    gain, last = table["gain"], len(seeds) + 0.3
    if gain["low"] is not None:
        axes.plot([last, last], [gain["low"], gain["high"]], color="black", linewidth=1.6)
    axes.plot([last], [gain["value"]], "D", color="black", markersize=5)
    axes.set_xticks([*range(len(seeds)), last], [*map(str, seeds), "all"])
    axes.set_xlabel("seed")
    axes.set_title(f"gain of each pair; {table['interval']}", fontsize=7, loc="left")
