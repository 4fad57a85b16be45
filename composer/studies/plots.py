"""What all plots of studies share: colours, style, the file that they are written to, curves with their intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final, NamedTuple

from composer.studies import Refused
from composer.studies.statistics import Curve

# Okabe and Ito's palette for colour-blind readers, without black (text) and yellow (too pale on white).
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
GREY: Final = "#777777"
DASHES: Final = ("-", "--", ":", "-.")
"""Distinguish lines in print without colour, and where there are more of them than colours."""
MARKERS: Final = ("o", "s", "^", "D")
"""The same for points."""
SUFFIXES: Final = (".png", ".svg", ".pdf")
STYLE: Final[Any] = {
    "svg.hashsalt": "composer",
    # Publishers take no PDF with the letters that matplotlib draws by default (Type 3).
    "pdf.fonttype": 42,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "legend.frameon": False,
}


class Look(NamedTuple):
    """How one agent is drawn in every panel."""

    colour: str
    dash: str
    marker: str
    group: str = ""
    """The class of all that shows this agent in the figures of a page, ``agent-3``; empty where nothing names it."""


def look(number: int) -> Look:
    """The look of the agent with this number: 24 differ; neighbours differ in colour, dash and marker."""
    colour, style = number % len(COLOURS), (number + number // len(COLOURS)) % len(DASHES)
    return Look(COLOURS[colour], DASHES[style], MARKERS[style])


def check(path: Path, suffixes: Sequence[str] = SUFFIXES) -> None:
    """Raise Refused where no plot can be written."""
    if path.suffix not in suffixes:
        known = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
        raise Refused(f"{path}: a plot is written as {known}, got {path.suffix or 'no suffix'!r}")
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
        save(made, path, path.suffix)


def save(made: Any, file: Path | IO[bytes], suffix: str, texts: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write a figure without a date, which would make two equal plots differ. Call it in the style of the figure.

    ``texts`` are kept in the file, by their names.
    """
    dates = {".svg": {"Date": None}, ".png": {"Software": None}, ".pdf": {"CreationDate": None}}
    made.savefig(file, format=suffix.removeprefix("."), dpi=200, metadata={**dates[suffix], **texts})


def band(axes: Any, curve: Curve, colour: str, alpha: float = 0.18, **look: Any) -> None:
    """The mean over seeds with its interval; ``look`` goes to the line, and its ``gid`` to both."""
    mean, low, high = curve.band()
    marker = "o" if len(curve.steps) == 1 else None
    axes.fill_between(curve.steps, low, high, color=colour, alpha=alpha, linewidth=0, gid=look.get("gid"))
    axes.plot(curve.steps, mean, color=colour, linewidth=1.6, marker=marker, **look)


def over_env_steps(axes: Any) -> None:
    """Label the x axis."""
    axes.set_xlabel("environment steps")
    engineering(axes.xaxis)


def engineering(axis: Any) -> None:
    """Write an axis's numbers as 250k and 1M."""
    from matplotlib.ticker import EngFormatter

    axis.set_major_formatter(EngFormatter(sep=""))
