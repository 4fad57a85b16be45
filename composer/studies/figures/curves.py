"""Learning curves: one panel per task, with a mark on the curve wherever an intervention fired.

Tests: tests/studies/figures/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from composer.spec.interval import LEAST, method
from composer.spec.quantities import counted
from composer.studies.compare.firing_effects import firing_effects
from composer.studies.compare.groups import Group
from composer.studies.compare.read_runs import Agent
from composer.studies.figures.names import short_names
from composer.studies.figures.sheet import Sheet, entitle, finish, in_words, panels
from composer.studies.plots import Look, band, engineering, look

MOST_MARKS: Final = 20
"""Marks of one intervention on one curve; of more firings, evenly chosen ones are marked."""
MARKS: Final = ("v", "P", "X", "*", "d", "p", "h", "8")
"""By intervention; the agent gives the colour."""
THIN_UP_TO: Final = 4
"""Seeds are drawn as thin lines for at most so many agents in a panel; of more, they hide each other."""


def curves(groups: Sequence[Group], metric: str) -> Sheet:
    """Mean over seeds with its interval against environment steps, a panel per task.

    The legend names agents by the heights of their ends, the highest first, so that it reads as the curves do.
    """
    tasks, order = sorted({group.task for group in groups}), _order(groups)
    looks, marks, names = looks_of(groups), _marks(groups), names_of(groups)
    with panels(len(tasks)) as (made, axes):
        for panel, task in zip(axes, tasks, strict=True):
            here = sorted((group for group in groups if group.task == task), key=lambda group: order[group.agent])
            for group in here:
                _draw(panel, group, looks[group.agent], label(group.agent, groups, names), len(here) <= THIN_UP_TO)
                for name, marker in marks.items():
                    _mark(panel, group, name, marker, looks[group.agent])
                _effects(panel, group, looks[group.agent])
            _axes(panel, task, len(tasks))
        for name, marker in marks.items():
            axes[0].plot([], [], marker, color="black", markersize=4, label=f"{name} fires")
        outer_labels(axes, "environment steps", in_words(metric))
        return finish(made, "curves", _caption(groups, metric, names))


def looks_of(groups: Sequence[Group]) -> dict[Agent, Look]:
    """The look of each agent, the same in every figure of one call."""
    agents = dict.fromkeys(group.agent for group in groups)
    return {agent: look(number)._replace(group=f"agent-{number}") for number, agent in enumerate(agents)}


def _order(groups: Sequence[Group]) -> dict[Agent, float]:
    """The place of each agent at the end of the curves, averaged over its tasks; 0 is the highest."""
    places: dict[Agent, list[int]] = {}
    for task in {group.task for group in groups}:
        here = [group for group in groups if group.task == task]
        for place, group in enumerate(sorted(here, key=lambda group: -float(group.curve.values[:, -1].mean()))):
            places.setdefault(group.agent, []).append(place)
    return {agent: sum(each) / len(each) for agent, each in places.items()}


def names_of(groups: Sequence[Group]) -> dict[str, str]:
    """The short name of each agent."""
    return short_names(list(dict.fromkeys(str(group.agent) for group in groups)))


def label(agent: Agent, groups: Sequence[Group], names: Mapping[str, str]) -> str:
    """The agent, and its number of seeds over its tasks where agents have different numbers."""
    if len({len(group.seeds) for group in groups}) == 1:
        return names[str(agent)]
    return f"{names[str(agent)]} ({seeds_of([group for group in groups if group.agent == agent])})"


def seeds_of(groups: Sequence[Group]) -> str:
    """``5 seeds``, or ``3 to 5 seeds``."""
    seeds = [len(group.seeds) for group in groups]
    few, many = min(seeds), max(seeds)
    return counted(few, "seed") if few == many else f"{few} to {many} seeds"


def _draw(axes: Any, group: Group, own: Look, name: str, with_seeds: bool) -> None:
    curve = group.curve
    if with_seeds and len(group.seeds) > 1:
        axes.plot(curve.steps, curve.values.T, color=own.colour, linewidth=0.5, alpha=0.35, gid=own.group)
    band(axes, curve, own.colour, alpha=0.18 if with_seeds else 0.1, linestyle=own.dash, label=name, gid=own.group)


def _axes(axes: Any, task: str, tasks: int) -> None:
    entitle(axes, task)
    engineering(axes.xaxis)
    axes.xaxis.set_major_locator(_few(5 if tasks < 3 else 3))
    axes.yaxis.set_major_locator(_few(6 if tasks < 3 else 4))
    axes.margins(x=0.02)


def _few(bins: int) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(bins, steps=[1, 2, 2.5, 5, 10])


def outer_labels(axes: Sequence[Any], x: str, y: str) -> None:
    """Name the axes of panels once: below the lowest of each column, and left of each row."""
    across = axes[0].get_subplotspec().get_gridspec().ncols
    for number, panel in enumerate(axes):
        if number + across >= len(axes):
            panel.set_xlabel(x)
        if number % across == 0:
            panel.set_ylabel(y)


def _marks(groups: Sequence[Group]) -> dict[str, str]:
    """The marker of each intervention that fired."""
    names = dict.fromkeys(name for group in groups for name in firings(group))
    return {name: MARKS[number % len(MARKS)] for number, name in enumerate(names)}


def firings(group: Group) -> Mapping[str, Mapping[int, int]]:
    """How often each intervention fired, by environment step, over all seeds and runs of the group."""
    found: dict[str, dict[int, int]] = {}
    for run in group.runs:
        for name, steps in run.firings.items():
            at = found.setdefault(name, {})
            for step, count in steps.items():
                at[step] = at.get(step, 0) + count
    return found


def marked(steps: Sequence[int]) -> list[int]:
    """The steps that get a mark: all of them, or ``MOST_MARKS`` evenly chosen ones, with the first and the last."""
    ordered = sorted(steps)
    if len(ordered) <= MOST_MARKS:
        return ordered
    return [ordered[index] for index in np.linspace(0, len(ordered) - 1, MOST_MARKS).round().astype(int)]


def _mark(axes: Any, group: Group, name: str, marker: str, own: Look) -> None:
    at = marked([*firings(group).get(name, ())])
    heights = np.interp(at, group.curve.steps, group.curve.values.mean(0))
    look = {"markersize": 4.5, "markeredgecolor": "white", "markeredgewidth": 0.5}
    axes.plot(at, heights, marker, color=own.colour, linestyle="none", zorder=3, gid=own.group, **look)


def _effects(axes: Any, group: Group, own: Look) -> None:
    """Write at measured firings how the first signal changed; an arrow where the interval lies on one side of 0."""
    drawn: set[tuple[str, int]] = set()
    for each in firing_effects([group]):
        if (place := (each.intervention, each.env_step)) in drawn:
            continue
        drawn.add(place)
        height = float(np.interp(each.env_step, group.curve.steps, group.curve.values.mean(0)))
        arrow = {1: "\N{UPWARDS ARROW}", -1: "\N{DOWNWARDS ARROW}", 0: ""}[each.sign]
        words = f"{arrow}{in_words(each.signal)} {each.mean:+.2g}"
        look = {"textcoords": "offset points", "ha": "center", "fontsize": 5, "color": own.colour, "gid": own.group}
        box = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.6}
        axes.annotate(words, (each.env_step, height), xytext=(0, 6), zorder=4, bbox=box, **look)


def _caption(groups: Sequence[Group], metric: str, names: Mapping[str, str]) -> str:
    parts = [
        f"{in_words(metric)}: mean over {seeds_of(groups)}" + (f", band: {method()}." if _has_band(groups) else ".")
    ]
    most = max(sum(group.task == task for group in groups) for task in {group.task for group in groups})
    if most <= THIN_UP_TO and any(len(group.seeds) > 1 for group in groups):
        parts.append("Thin lines: single seeds.")
    few = [group for group in groups if len(group.seeds) < LEAST]
    if few and _has_band(groups):
        parts.append(f"Fewer than {LEAST} seeds have no interval.")
    if firing_effects(groups):
        parts.append("Beside a firing: its effect on a loss, by forks; an arrow where the interval leaves out 0.")
    thinned = [
        f"{name} of {names[str(group.agent)]} on {group.task} ({MOST_MARKS} of {len(steps)})"
        for group in groups
        for name, steps in firings(group).items()
        if len(steps) > MOST_MARKS
    ]
    if thinned:
        shown = ", ".join(thinned[:2]) + (f" and {len(thinned) - 2} more" if len(thinned) > 2 else "")
        parts.append(f"Steps with firings that are marked, evenly chosen: {shown}.")
    return " ".join(parts)


def _has_band(groups: Sequence[Group]) -> bool:
    return any(len(group.seeds) >= LEAST for group in groups)
