"""Cost of an update along each axis, a panel each, on one logarithmic scale. Tests: tests/benchmarks/test_growth.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from composer.studies.plots import figure, look


def plot(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw rows of ``updates.measure`` with lines from the lowest to the highest lap."""
    axes = list(dict.fromkeys(row["axis"] for row in rows))
    shown = look(0)
    with figure(path, 1.2 + 2.2 * len(axes), 2.8) as made:
        for panel, axis in zip(made.subplots(1, len(axes), squeeze=False, sharey=True)[0], axes, strict=True):
            found = [row for row in rows if row["axis"] == axis]
            places, costs = [row["place"] for row in found], [row["ms"] for row in found]
            below = [row["ms"] - row["lowest"] for row in found]
            above = [row["highest"] - row["ms"] for row in found]
            panel.errorbar(places, costs, (below, above), color=shown.colour, marker=shown.marker, capsize=2)
            panel.set_xscale("symlog" if 0 in places else "log")
            panel.set_yscale("log")
            panel.set_xlabel(axis)
            panel.set_xticks(places, [f"{place:,}" for place in places], rotation=45)
            panel.set_xticks([], minor=True)
        made.supylabel("processor time, ms")
