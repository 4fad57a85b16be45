"""Learning curves: mean over seeds with its interval, thin lines for the seeds, one panel per task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from composer.spec.interval import method
from composer.spec.quantities import counted
from composer.studies.compare.groups import Group
from composer.studies.plots import COLOURS, DASHES, band, figure, over_env_steps


def plot(groups: Sequence[Group], metric: str, path: Path) -> None:
    """Draw every group's curve into ``path``, the same bytes each time; raises Refused."""
    tasks = sorted({group.task for group in groups})
    agents = list(dict.fromkeys(group.agent for group in groups))
    looks = {
        agent: (COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)])
        for number, agent in enumerate(agents)
    }
    with figure(path, 1.2 + 3.8 * len(tasks), 3.2) as made:
        for axes, task in zip(made.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
            for group in groups:
                if group.task == task:
                    _draw(axes, group, *looks[group.agent])
            over_env_steps(axes)
            axes.set_title(task, fontsize=9, loc="left")
            axes.set_ylabel(f"{metric.replace('/', ' ')}, mean and {method()}")
            axes.margins(x=0.01)
            axes.legend(loc="best")


def _draw(axes: Any, group: Group, colour: str, dash: str) -> None:
    curve = group.curve
    axes.plot(curve.steps, curve.values.T, color=colour, linewidth=0.5, alpha=0.35, linestyle=dash)
    band(axes, curve, colour, linestyle=dash, label=f"{group.agent} ({counted(len(group.seeds), 'seed')})")
