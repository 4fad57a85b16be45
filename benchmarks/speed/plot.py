"""Updates per second by width, batch size and number of seeds, one panel each.

Tests: tests/benchmarks/test_speed.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from composer.studies import Refused
from composer.studies.plots import GREY, Look, figure, look

AXES: Final = {"width": "width of both hidden layers", "batch": "batch", "seeds": "seeds in one program"}
FLOOR: Final = Look(GREY, "-", "o")
"""Of the matrix products alone, which no agent is faster than."""
OURS: Final = ("composer, eager", "composer, compiled")


def points(result: Mapping[str, Any]) -> dict[str, dict[str, list[tuple[float, Mapping[str, float]]]]]:
    """By axis and candidate: places on the axis with their rates, in order; only this project has seeds."""
    found: dict[str, dict[str, list[tuple[float, Mapping[str, float]]]]] = {axis: {} for axis in AXES}
    for workload in result["workloads"]:
        for axis, place in workload["curves"].items():
            for row in workload["rows"]:
                if "per_second" not in row or (axis != "seeds" and row["seeds"] != 1):
                    continue
                x = row["seeds"] if axis == "seeds" and row["role"] == "ours" else place
                found[axis].setdefault(_label(row), []).append((float(x), row["per_second"]))
    return {
        axis: {name: sorted(line, key=lambda point: point[0]) for name, line in lines.items()}
        for axis, lines in found.items()
        if lines
    }


def plot(result: Mapping[str, Any], path: Path) -> None:
    """Plot them; Refused where no candidate of these workloads could be measured."""
    panels = points(result)
    if not panels:
        raise Refused("nothing could be measured that can be plotted")
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    others = [name for name in names if not name.startswith("matrix")]
    looks = {name: look(number) for number, name in enumerate(others)}
    with figure(path, 1.2 + 2.4 * len(panels), 3.2) as made:
        drawn = made.subplots(1, len(panels), squeeze=False)[0]
        for axes, (axis, lines) in zip(drawn, panels.items(), strict=True):
            for name, line in lines.items():
                _draw(axes, name, line, looks.get(name, FLOOR), alone=axis == "seeds" and name not in OURS)
            _dress(axes, axis, sorted({x for line in lines.values() for x, _ in line}))
        drawn[0].set_ylabel("agent updates per second,\nmedian and range")
        # From fast to slow, as the lines begin in the first panel.
        first = next(iter(panels.values()))
        handles = dict(zip(*reversed(drawn[0].get_legend_handles_labels()), strict=True))
        named = sorted(handles, key=lambda name: -first[name][0][1]["median"])
        made.legend([handles[name] for name in named], named, loc="outside lower center", ncols=3)


def _draw(axes: Any, name: str, line: Sequence[tuple[float, Mapping[str, float]]], own: Look, alone: bool) -> None:
    """A curve with its range; a horizontal line where there is one agent ``alone``."""
    x = [place for place, _ in line]
    middle = [rate["median"] for _, rate in line]
    if alone:
        axes.axhline(middle[0], color=own.colour, linewidth=0.8, linestyle=own.dash, label=name)
        return
    low, high = ([rate[end] for _, rate in line] for end in ("low", "high"))
    axes.fill_between(x, low, high, color=own.colour, alpha=0.18, linewidth=0)
    shape = {"marker": own.marker, "markersize": 3.5, "linewidth": 1.4, "linestyle": own.dash}
    axes.plot(x, middle, color=own.colour, label=name, **shape)


def _dress(axes: Any, axis: str, ticks: Sequence[float]) -> None:
    from matplotlib.ticker import LogFormatter, NullLocator

    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(LogFormatter(labelOnlyBase=False))
    axes.yaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.5)))
    axes.set_xlabel(AXES[axis])


def _label(row: Mapping[str, Any]) -> str:
    if row["role"] != "ours":
        return str(row["name"])
    return f"composer, {'compiled' if row['compiled'] else 'eager'}"
