"""A statistic along an axis with its pointwise interval: performance profiles and sample efficiency.

Source of the form: Agarwal et al., arXiv:2108.13264, figures 5 and 6. Tests: tests/studies/figures/.
"""

from __future__ import annotations

from collections.abc import Mapping

from composer.studies.figures.sheet import Sheet, finish, panels
from composer.studies.plots import Look, engineering
from composer.studies.profiles import Line


def profiles(lines: Mapping[str, Line], looks: Mapping[str, Look], x: str, caption: str) -> Sheet:
    """The share of seeds above each score, by agent; ``x`` names the score."""
    return _draw("profile", lines, looks, (x, "share of seeds with a higher score"), caption)


def efficiency(lines: Mapping[str, Line], looks: Mapping[str, Look], y: str, caption: str) -> Sheet:
    """The interquartile mean against environment steps, by agent; ``y`` names it."""
    return _draw("efficiency", lines, looks, ("environment steps", y), caption)


def _draw(
    name: str, lines: Mapping[str, Line], looks: Mapping[str, Look], names: tuple[str, str], caption: str
) -> Sheet:
    with panels(1) as (made, (axes,)):
        # The legend reads as the curves do: by their ends, or, of profiles, which all end at 0, by the area below them.
        heights = {label: line.value[-1] if name != "profile" else line.value.mean() for label, line in lines.items()}
        for label, line in sorted(lines.items(), key=lambda each: -float(heights[each[0]])):
            own = looks[label]
            alpha = 0.18 if len(lines) < 5 else 0.1
            axes.fill_between(line.at, line.low, line.high, color=own.colour, alpha=alpha, linewidth=0, gid=own.group)
            axes.plot(
                *(line.at, line.value), color=own.colour, linestyle=own.dash, linewidth=1.6, label=label, gid=own.group
            )
        if name == "profile":
            axes.set_ylim(-0.02, 1.02)
        else:
            engineering(axes.xaxis)
        axes.margins(x=0.02)
        axes.set_xlabel(names[0])
        axes.set_ylabel(names[1])
        return finish(made, name, caption)
