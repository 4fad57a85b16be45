"""What all plots of studies share: colours, style, the file that they are written to, curves with their intervals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from composer.studies import Refused
from composer.studies.statistics import Curve

# Okabe and Ito's palette for colour-blind readers, without black (text) and yellow (too pale on white).
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
GREY: Final = "#777777"
DASHES: Final = ("-", "--", ":")
"""Distinguish lines where there are more of them than colours, and where print has no colour."""
SUFFIXES: Final = (".png", ".svg")
STYLE: Final[Any] = {
    "svg.hashsalt": "composer",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "legend.frameon": False,
}


def check(path: Path) -> None:
    """Raise Refused where no plot can be written."""
    if path.suffix not in SUFFIXES:
        raise Refused(f"{path}: a plot is written as .png or .svg, got {path.suffix or 'no suffix'!r}")
    if not path.parent.is_dir():
        raise Refused(f"{path}: no such folder: {path.parent}")


@contextmanager
def figure(path: Path, width: float, height: float) -> Iterator[Any]:
    """A figure, in inches, that is written to ``path`` at the end: the same bytes each time. Raises Refused."""
    check(path)
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        made = Figure(figsize=(width, height), layout="constrained")
        yield made
        # A date in the file would make two equal plots differ.
        made.savefig(path, dpi=200, metadata={"Date": None} if path.suffix == ".svg" else {"Software": None})


def band(axes: Any, curve: Curve, colour: str, **look: Any) -> None:
    """The mean over seeds with its interval; ``look`` goes to the line."""
    mean, low, high = curve.band()
    marker = "o" if len(curve.steps) == 1 else None
    axes.fill_between(curve.steps, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(curve.steps, mean, color=colour, linewidth=1.6, marker=marker, **look)


def over_env_steps(axes: Any) -> None:
    """Label the x axis."""
    from matplotlib.ticker import EngFormatter

    axes.set_xlabel("environment steps")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
