"""A sheet: the panels of one figure, with one legend and one caption below them.

A figure is as wide as a column or as the text of a page, and says by what its caption names: method, interval, seeds.
Tests: tests/studies/figures/.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from composer.studies.plots import STYLE, save

FONT: Final = 8.0
SMALL: Final = 7.0
"""Sizes of text, in points."""
WIDTHS: Final = {1: 4.6, 2: 6.4}
"""Inches by number of panels; more panels are as wide as the text of a page."""
PAGE: Final = 7.2
ACROSS: Final = 4
"""The most panels beside each other."""
MARGIN: Final = 0.08
LINE: Final = 1.35
"""Height of a line of text by its size."""
LONGEST: Final = 44
"""Characters of a name on one line."""
_STYLE: Final[Any] = {
    **STYLE,
    "font.size": FONT,
    # A name with a dollar sign is no formula. Tick labels are therefore written without formulas.
    "text.parse_math": False,
    "axes.titlesize": FONT,
    "axes.labelsize": FONT,
    "legend.fontsize": SMALL,
}


@dataclass(frozen=True)
class Sheet:
    """A figure that can be written to a file, a page of a PDF, or an HTML page."""

    name: str
    """Its kind, such as ``curves``."""
    figure: Any
    caption: str

    def write(self, path: Path) -> None:
        """Write a .png, .svg or .pdf."""
        path.write_bytes(self.content(path.suffix))

    def content(self, suffix: str, texts: Mapping[str, str] = MappingProxyType({})) -> bytes:
        """The bytes of a .png, .svg or .pdf, with ``texts`` kept in it by their names."""
        import matplotlib

        file = BytesIO()
        # Several figures on one page: their identifiers must differ.
        with matplotlib.rc_context({**_STYLE, "svg.hashsalt": self.name}):
            save(self.figure, file, suffix, texts)
        content = file.getvalue()
        # An agent is shown by several elements: it is their class.
        return (
            re.sub(rb'(<\w+ (?:[^>]*? )?)id="(agent-\d+)"', rb'\1class="\2"', content) if suffix == ".svg" else content
        )

    def svg(self) -> str:
        """The figure as an ``<svg>`` element for an HTML page."""
        text = self.content(".svg").decode("utf-8")
        return text[text.index("<svg") :].strip()


def write_pages(sheets: Sequence[Sheet], path: Path) -> None:
    """Write a PDF with one page per sheet."""
    import matplotlib
    from matplotlib.backends.backend_pdf import PdfPages

    with matplotlib.rc_context(_STYLE), PdfPages(path, metadata={"CreationDate": None}) as pages:
        for sheet in sheets:
            pages.savefig(sheet.figure)


@contextmanager
def panels(
    count: int, height: float | None = None, width: float | None = None, across: int = ACROSS, **shared: Any
) -> Iterator[tuple[Any, list[Any]]]:
    """A figure and ``count`` axes in a grid, of at most ``across`` in a row; ``height`` of one row, in inches."""
    import matplotlib
    from matplotlib.figure import Figure

    across = 3 if across == ACROSS and count in (3, 5, 6, 9) else min(count, across)
    rows = ceil(count / across)
    with matplotlib.rc_context(_STYLE):
        size = width or WIDTHS.get(across, PAGE), rows * (height or {1: 2.7, 2: 2.4, 3: 2.0}.get(across, 1.75))
        made = Figure(figsize=size, layout="constrained")
        axes = made.subplots(rows, across, squeeze=False, **shared).flatten().tolist()
        for empty in axes[count:]:
            empty.set_axis_off()
        yield made, axes[:count]


def finish(made: Any, name: str, caption: str) -> Sheet:
    """Put one legend of all panels and the caption below them, for which the figure grows."""
    width, height = made.get_size_inches()
    handles: dict[str, Any] = {}
    for axes in made.axes:
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    labels = [wrap(label) for label in handles]
    lines = textwrap.wrap(caption, int((width - 2 * MARGIN) / (0.52 * SMALL / 72)))
    columns, tallest = _legend_shape(labels, width)
    entries = SMALL / 72 * tallest + MARGIN if labels else 0.0
    foot = entries + SMALL * LINE / 72 * len(lines) + 2 * MARGIN
    total = height + foot
    made.set_size_inches(width, total)
    made.get_layout_engine().set(rect=(0, foot / total, 1, height / total))
    if labels:
        legend = made.legend(
            *(list(handles.values()), labels),
            loc="upper center",
            bbox_to_anchor=(0.5, foot / total),
            ncols=columns,
            borderaxespad=0.0,
            columnspacing=1.2,
        )
        legend.set_in_layout(False)
        for handle, shown, named in zip(handles.values(), legend.legend_handles, legend.get_texts(), strict=True):
            shown.set_gid(handle.get_gid())
            named.set_gid(handle.get_gid())
    text = made.text(MARGIN / width, MARGIN / total, "\n".join(lines), va="bottom", fontsize=SMALL, color="#333333")
    text.set_in_layout(False)
    return Sheet(name, made, caption)


def _legend_shape(labels: Sequence[str], width: float) -> tuple[int, float]:
    """Columns of a legend, and its height in sizes of its text."""
    if not labels:
        return 1, 0
    longest = max(text_width(line) for label in labels for line in label.splitlines())
    columns = max(1, min(len(labels), int((width - 2 * MARGIN) / (longest + 0.5))))
    down = ceil(len(labels) / columns)
    heights = [1.2 * (label.count("\n") + 1) + 0.5 for label in labels]
    return columns, max(sum(heights[first : first + down]) for first in range(0, len(labels), down))


def text_width(text: str, size: float = SMALL) -> float:
    """Inches of a line of text."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    points, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)
    return float(points) / 72


def wrap(name: str, width: int = LONGEST) -> str:
    """A name on lines of at most ``width`` characters, broken at spaces, or after one of ``. / _ - = ,``."""
    lines = [""]
    for piece in re.findall(r"(?:[^\s./_=,-]|\.(?=\d))*[\s./_=,-]?", name):
        if lines[-1] and len((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(part for line in lines for part in textwrap.wrap(line, width)) or name


def entitle(axes: Any, title: str) -> None:
    """Give a panel a title on lines that fit above it."""
    across = axes.get_subplotspec().get_gridspec().ncols
    axes.set_title(wrap(title, {1: 60, 2: 44, 3: 29}.get(across, 21)), loc="left")


def in_words(metric: str) -> str:
    """``evaluation/return`` as the label of an axis."""
    return metric.replace("/", " ").replace("_", " ")
