"""Learning curves as PNG or SVG: mean over seeds with its interval, thin lines for the seeds, one panel a task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from composer.studies import Refused

if TYPE_CHECKING:
    from composer.studies.compare.compare import Group

# Okabe and Ito's palette, told apart by colour-blind readers, without black (text) and yellow (too pale on white).
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
DASHES: Final = ("-", "--", ":")
"""Tells agents apart where there are more of them than colours, and where print has no colour."""
SUFFIXES: Final = (".png", ".svg")
STYLE: Final[Any] = {
    "svg.hashsalt": "composer",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "legend.frameon": False,
}


class Unplottable(Refused):
    """A plot cannot be written where it was asked for; the message says why."""


def check(path: Path) -> None:
    """Raise Unplottable where no plot can be written."""
    if path.suffix not in SUFFIXES:
        raise Unplottable(f"{path}: a plot is written as .png or .svg, got {path.suffix or 'no suffix'!r}")
    if not path.parent.is_dir():
        raise Unplottable(f"{path}: no such folder: {path.parent}")


def plot(groups: Sequence[Group], metric: str, path: Path) -> None:
    """Draw every group's curve into ``path``, the same bytes each time; raises Unplottable."""
    check(path)
    import matplotlib
    from matplotlib.figure import Figure

    tasks = sorted({group.task for group in groups})
    agents = list(dict.fromkeys(group.agent for group in groups))
    looks = {
        agent: (COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)])
        for number, agent in enumerate(agents)
    }
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1.2 + 3.8 * len(tasks), 3.2), layout="constrained")
        for axes, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
            for group in groups:
                if group.task == task:
                    _draw(axes, group, *looks[group.agent])
            _label(axes, task, metric)
        # A date in the file would make two equal plots differ.
        figure.savefig(path, dpi=200, metadata={"Date": None} if path.suffix == ".svg" else {"Software": None})


def _draw(axes: Any, group: Group, colour: str, dash: str) -> None:
    curve = group.curve
    mean, low, high = curve.band()
    marker = "o" if len(curve.steps) == 1 else None
    seeds = f"{len(group.seeds)} seed{'s' if len(group.seeds) > 1 else ''}"
    axes.plot(curve.steps, curve.values.T, color=colour, linewidth=0.5, alpha=0.35, linestyle=dash)
    axes.fill_between(curve.steps, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(
        curve.steps, mean, color=colour, linewidth=1.6, linestyle=dash, marker=marker, label=f"{group.agent} ({seeds})"
    )


def _label(axes: Any, task: str, metric: str) -> None:
    from matplotlib.ticker import EngFormatter

    axes.set_title(task, fontsize=9, loc="left")
    axes.set_xlabel("environment steps")
    axes.set_ylabel(f"{metric.replace('/', ' ')}, mean and 95% interval")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.margins(x=0.01)
    axes.legend(loc="best")
