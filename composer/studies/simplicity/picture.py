"""Pictures of ``composer simplicity``: scores with intervals, and complexity by weights, depth and activation.

Tests: tests/studies/test_simplicity.py.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from composer.spec.interval import method
from composer.studies.plots import COLOURS, figure
from composer.studies.simplicity.measures import SCORE

LINE, ACROSS = 34, 4
"""Characters of a name on one line; panels beside each other."""


def draw(table: Mapping[str, Any], path: Path) -> None:
    """Write the picture of an answer to ``path``, the same bytes each time; raises Refused."""
    if "random" in table:
        _heat(table, path)
    else:
        _scores(table, path)


def _scores(table: Mapping[str, Any], path: Path) -> None:
    """A row per network in the order of the table; a panel per score."""
    from matplotlib.ticker import MaxNLocator

    rows = table["networks"]
    names = [textwrap.fill(f"{row['blueprint']}: {' and '.join(row['networks'])}", LINE) for row in rows]
    panels = [name for name in rows[0] if name.startswith(SCORE)]
    notes = {SCORE: table["title"], f"{SCORE}_without_constant": "without the constant term"}
    height = 1.0 + sum(0.1 + 0.16 * (name.count("\n") + 1) for name in names)
    with figure(path, 3.4 + 2.4 * len(panels), height) as drawn:
        axes = drawn.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for panel, name in zip(axes, panels, strict=True):
            for number, row in enumerate(rows):
                _interval(panel, number, row[name])
            panel.set_title(notes[name], loc="left", fontsize=9)
            panel.xaxis.set_major_locator(MaxNLocator(4))
        axes[0].set_yticks(range(len(rows)), names)
        axes[0].set_ylim(len(rows) - 0.5, -0.5)
        drawn.supxlabel(f"{table['initialisations']} initialisations, {method('initialisations')}", fontsize=7.5)


def _interval(axes: Any, row: int, score: Mapping[str, Any]) -> None:
    if score["low"] is not None:
        axes.plot([score["low"], score["high"]], [row, row], color=COLOURS[0], linewidth=2.2, alpha=0.55)
    axes.plot([score["value"]], [row], "o", color=COLOURS[0], markersize=4)


def _heat(table: Mapping[str, Any], path: Path) -> None:
    """A panel per activation: depth upwards, weights to the right, one scale of colours for all."""
    rows = table["random"]
    kinds, depths, magnitudes = (
        list(dict.fromkeys(row[key] for row in rows)) for key in ("activation", "depth", "magnitude")
    )
    values = np.array([row["complexity"]["value"] for row in rows]).reshape(len(kinds), len(depths), len(magnitudes))
    across = min(len(kinds), ACROSS)
    down = -(-len(kinds) // across)
    with figure(path, 1.2 + 1.85 * across, 0.7 + 1.5 * down) as drawn:
        axes = drawn.subplots(down, across, sharex=True, sharey=True, squeeze=False).flatten()
        for panel, kind, part in zip(axes, kinds, values, strict=False):
            image = panel.imshow(part, origin="lower", aspect="auto", vmin=0, vmax=values.max(), cmap="viridis")
            panel.set_title(kind, loc="left", fontsize=9)
        for panel in axes[len(kinds) :]:
            panel.set_axis_off()
        shown = range(0, len(magnitudes), max(1, (len(magnitudes) - 1) // 2))
        axes[0].set_xticks(shown, [f"{magnitudes[at]:.3g}" for at in shown], fontsize=7.5)
        axes[0].set_yticks(range(len(depths)), [str(depth) for depth in depths])
        drawn.supxlabel("weights and biases in [-A, A]: A", fontsize=8.5)
        drawn.supylabel("hidden layers", fontsize=8.5)
        drawn.colorbar(image, ax=list(axes), label=textwrap.fill(table["title"], 24), shrink=0.9)
