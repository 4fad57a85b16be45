"""Estimates with horizontal intervals, an agent a row: aggregates over tasks, and who improves on whom.

Source of the form: Agarwal et al., arXiv:2108.13264, figures 4 and 7. Tests: tests/studies/figures/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from composer.studies.figures.matrix import Matrix, draw_matrix
from composer.studies.figures.sheet import PAGE, Sheet, finish, panels, wrap
from composer.studies.plots import GREY, Look, look
from composer.studies.statistics import Estimate

ROW: Final = 0.3
"""Height of an agent's row, in inches."""
MOST_ROWS: Final = 15
"""Pairs in rows; more are shown as a matrix."""


def aggregates(rows: Mapping[str, Mapping[str, Estimate]], looks: Mapping[str, Look], caption: str) -> Sheet:
    """A panel per statistic; ``rows`` by agent, then by statistic; sorted by the first one, the best on top."""
    rows = dict(sorted(rows.items(), key=lambda row: -next(iter(row[1].values())).value))
    statistics = list(next(iter(rows.values())))
    names = [wrap(name, 26) for name in rows]
    across = len(statistics)
    height = 0.75 + sum(max(ROW, 0.14 * (name.count("\n") + 1)) for name in names)
    with panels(across, height=height, width=PAGE, across=max(across, 1), sharey=True) as (made, axes):
        for panel, statistic in zip(axes, statistics, strict=True):
            for number, (name, estimates) in enumerate(rows.items()):
                _bar(panel, number, estimates[statistic], looks[name])
            panel.use_sticky_edges = False
            panel.set_title(statistic, loc="left")
            _rows(panel, names)
        return finish(made, "aggregates", caption)


def improvement(pairs: Sequence[tuple[str, str, Estimate]], caption: str) -> Sheet:
    """P(left > right) of every pair: rows with intervals, the most likely first; of many agents a matrix."""
    if len(pairs) > MOST_ROWS:
        return _improvement_matrix(pairs, caption)
    pairs = sorted(pairs, key=lambda pair: -pair[2].value)
    names = [f"{wrap(left, 34)}\n> {wrap(right, 34)}" for left, right, _ in pairs]
    height = 0.7 + sum(0.06 + 0.15 * (name.count("\n") + 1) for name in names)
    with panels(1, height=height) as (made, (axes,)):
        for number, (_, _, estimate) in enumerate(pairs):
            _bar(axes, number, estimate, look(0))
        axes.axvline(0.5, color=GREY, linewidth=0.8, linestyle="--")
        axes.set_xlabel("probability of improvement")
        _rows(axes, names)
        axes.set_xlim(-0.01, 1.01)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        return finish(made, "improvement", caption)


def _improvement_matrix(pairs: Sequence[tuple[str, str, Estimate]], caption: str) -> Sheet:
    names = list(dict.fromkeys(name for left, right, _ in pairs for name in (left, right)))
    values = np.full((len(names), len(names)), np.nan)
    for left, right, estimate in pairs:
        row, column = names.index(left), names.index(right)
        values[row, column], values[column, row] = estimate.value, 1 - estimate.value
    texts = [["" if np.isnan(value) else f"{value:.2f}" for value in row] for row in values]
    matrix = Matrix("", names, names, values, texts, "P(row scores higher than column)", (0.0, 1.0), "RdBu")
    return draw_matrix([matrix], "improvement", f"{caption} The table has the intervals.")


def _bar(axes: Any, row: int, estimate: Estimate, own: Look) -> None:
    shown = {"gid": own.group or None}
    if np.isnan(estimate.low):
        axes.plot([estimate.value], [row], "o", color=own.colour, markersize=4, **shown)
        return
    axes.barh(row, estimate.high - estimate.low, left=estimate.low, height=0.6, color=own.colour, alpha=0.55, **shown)
    axes.plot([estimate.value] * 2, [row - 0.3, row + 0.3], color="black", linewidth=1.4, **shown)


def _rows(axes: Any, names: Sequence[str]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
