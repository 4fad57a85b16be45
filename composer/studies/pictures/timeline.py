"""Which intervention fired when: a row per intervention, in it a line per seed, a tick per environment step.

Tests: tests/studies/pictures/test_pictures.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from composer.spec.quantities import counted
from composer.studies.figures.sheet import PAGE, Sheet, finish, panels, wrap
from composer.studies.plots import COLOURS, GREY, over_env_steps

ROW_INCHES, SEED_INCHES, AXIS_INCHES = 0.16, 0.075, 0.55
LONGEST: Final = 24
"""Characters of a name on one line beside the axis."""

Fired = Mapping[str, Mapping[int, Mapping[int, int]]]
"""How often, by intervention, seed and environment step."""


def timeline(fired: Fired, seeds: tuple[int, ...], end: int) -> Sheet:
    """The firings of each intervention in ``fired``, of a run of ``end`` environment steps.

    An intervention that has not fired has an empty row that says so.
    """
    lane = 1 / max(len(seeds), 2)
    height = AXIS_INCHES + len(fired) * (ROW_INCHES + SEED_INCHES * max(len(seeds), 2))
    with panels(1, height=height, width=PAGE) as (made, (axes,)):
        for row, by_seed in enumerate(fired.values()):
            colour = COLOURS[row % len(COLOURS)]
            for number, seed in enumerate(seeds):
                middle = row + (number + 0.5 - len(seeds) / 2) * lane * 0.8
                axes.eventplot([*by_seed.get(seed, {})], lineoffsets=middle, linelengths=lane * 0.7, colors=colour)
            axes.annotate(
                _count(by_seed, len(seeds)),
                xy=(1, row),
                xytext=(4, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
                color=GREY,
            )
        _axes(axes, [wrap(name, LONGEST) for name in fired], end)
        lines = "one line per seed, the first on top" if len(seeds) > 1 else "of the only seed"
        return finish(made, "interventions", f"Firings of interventions, {lines}; the number is that of firings.")


def _axes(axes: Any, names: list[str], end: int) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(-0.005 * end, 1.005 * end)
    for row in range(1, len(names)):
        axes.axhline(row - 0.5, color=GREY, linewidth=0.3)
    over_env_steps(axes)


def _count(by_seed: Mapping[int, Mapping[int, int]], seeds: int) -> str:
    """``5 per seed``, ``2 to 5 per seed``, or ``not yet``."""
    counts = [sum(at.values()) for at in by_seed.values()] + [0] * (seeds - len(by_seed))
    if not any(counts):
        return "not yet"
    low, high = min(counts), max(counts)
    number = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{number} per seed" if seeds > 1 else counted(high, "time")
