"""Performance against a number: parameters, arithmetic, updates, seconds, or a setting. A panel per task.

Tests: tests/studies/figures/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from composer.spec.quantities import scaled
from composer.studies.figures.curves import outer_labels
from composer.studies.figures.sheet import Sheet, entitle, finish, panels
from composer.studies.plots import Look
from composer.studies.statistics import Estimate


@dataclass(frozen=True)
class Mark:
    """One agent on one task: where it is on the x axis, its mean, and its seeds."""

    x: float
    mean: Estimate
    by_seed: tuple[float, ...] = ()


APART: Final = 3.0
"""Points by which the intervals of agents are drawn beside each other."""
MOST_APART: Final = 8
Series = Mapping[str, Sequence[Mark]]
"""By label; the points of one label are joined by a line."""


def against(tasks: Mapping[str, Series], looks: Mapping[str, Look], names: tuple[str, str], caption: str) -> Sheet:
    """Means with vertical intervals, by task; ``names`` of both axes. The x axis is logarithmic over a factor of 4."""
    every = [mark.x for series in tasks.values() for marks in series.values() for mark in marks]
    is_log = min(every) > 0 and max(every) >= 4 * min(every)
    with panels(len(tasks)) as (made, axes):
        for panel, (task, series) in zip(axes, tasks.items(), strict=True):
            for number, (label, marks) in enumerate(series.items()):
                aside = APART * (number - (len(series) - 1) / 2) if len(series) <= MOST_APART else 0.0
                _draw(panel, sorted(marks, key=lambda mark: mark.x), label, looks[label], aside)
            entitle(panel, task)
            _x_axis(panel, {mark.x for marks in series.values() for mark in marks}, is_log)
        outer_labels(axes, *names)
        return finish(made, "scatter", caption)


def _draw(axes: Any, marks: Sequence[Mark], label: str, own: Look, aside: float) -> None:
    """``aside``: by how many points all of it is moved to the right, so that intervals at one x do not cover others."""
    from matplotlib.transforms import ScaledTranslation

    moved = axes.transData + ScaledTranslation(aside / 72, 0, axes.figure.dpi_scale_trans)
    x, means = [mark.x for mark in marks], [mark.mean for mark in marks]
    joined = own.dash if len(marks) > 1 else "none"
    shape = {"color": own.colour, "marker": own.marker, "markersize": 4.5, "linewidth": 1.2, "transform": moved}
    axes.plot(x, [mean.value for mean in means], linestyle=joined, label=label, zorder=3, **shape)
    for mark in marks:
        seeds = {"color": own.colour, "markersize": 5, "alpha": 0.5, "transform": moved}
        axes.plot([mark.x] * len(mark.by_seed), mark.by_seed, "_", **seeds)
        if not np.isnan(mark.mean.low):
            ends = [mark.mean.low, mark.mean.high]
            axes.plot([mark.x] * 2, ends, color=own.colour, linewidth=1.2, transform=moved)
        # Lines that are moved aside do not count in the limits of the axes.
        axes.update_datalim([(mark.x, y) for y in (*mark.by_seed, mark.mean.value, *_finite(mark.mean))])


def _finite(mean: Estimate) -> list[float]:
    return [bound for bound in (mean.low, mean.high) if not np.isnan(bound)]


def _x_axis(axes: Any, values: set[float], is_log: bool) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

    if is_log:
        axes.set_xscale("log")
    # Few values, such as the widths of a study, are all written; of many, the powers of ten.
    spread = np.diff(sorted(np.log(list(values)) if is_log else list(values)))
    if len(values) <= 6 and (len(values) < 2 or spread.min() > spread.sum() / 12):
        axes.xaxis.set_major_locator(FixedLocator(sorted(values)))
    else:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=6) if is_log else MaxNLocator(4))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _short(x)))
    axes.margins(x=0.08)


def _short(value: float) -> str:
    """Three digits: 0.0003, 256, 1.2 M."""
    return f"{value:.3g}" if abs(value) < 1000 else scaled(round(value))
