"""Performance against cost, or against a setting: points from a comparison. A panel per task.

Tests: tests/studies/figures/.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from composer.spec.interval import method
from composer.spec.wording import suggestion
from composer.studies import Refused
from composer.studies.compare.compare import Comparison
from composer.studies.compare.read_runs import SHOWN
from composer.studies.figures.against import Mark, against
from composer.studies.figures.axes import ABSENT, Placed, column, is_number, named, place, varying
from composer.studies.figures.cost import COSTS
from composer.studies.figures.curves import names_of, seeds_of
from composer.studies.figures.heat import at_step, final_rows
from composer.studies.figures.names import short_names
from composer.studies.figures.sheet import Sheet, in_words
from composer.studies.plots import look
from composer.studies.statistics import Estimate


def performance(comparison: Comparison, x: str) -> Sheet:
    """Mean over seeds with its interval against ``x``: a cost by name, or a setting that is a number. Raises Refused.

    Agents that differ in one number alone are joined by a line.
    """
    placed, table, metric = place(comparison.groups), final_rows(comparison), in_words(comparison.table["metric"])
    steps = {task["task"]: task["env_step"] for task in comparison.table["tasks"]}
    numbers = [_number(each, x, steps[each.group.task]) for each in placed]
    labels = series(placed, x)
    tasks: dict[str, dict[str, list[Mark]]] = {}
    for each, number, label in zip(placed, numbers, labels, strict=True):
        if math.isnan(number):
            continue
        final = table[str(each.group.agent), each.group.task]["final"]
        mark = Mark(number, estimate(final["mean"]), tuple(final["by_seed"]))
        tasks.setdefault(each.group.task, {}).setdefault(label, []).append(mark)
    if not tasks:
        raise Refused(f"no run has {x!r}: it is written by runs that are long enough to be timed")
    looks = {label: look(number) for number, label in enumerate(dict.fromkeys(labels))}
    name = COSTS[x][1] if x in COSTS else x
    caption = (
        f"{metric} {at_step(comparison)} against {name}: mean over {seeds_of(comparison.groups)} and its {method()};"
        " short lines are single seeds."
    )
    return against(tasks, looks, (name, metric), caption)


def estimate(table: Mapping[str, Any]) -> Estimate:
    """An estimate of a table, which has None for NaN."""
    return Estimate(*(math.nan if table[key] is None else table[key] for key in ("value", "low", "high")))


def _number(each: Placed, x: str, step: int) -> float:
    if x in COSTS and x not in each.values:
        return float(np.mean([COSTS[x][0](run, step) for run in each.group.runs]))
    value = each.value(x)
    if is_number(value):
        return float(value)
    if value == ABSENT:
        known = dict.fromkeys([*COSTS, *each.values])
        raise Refused(f"{each.group.agent} has no setting {x!r}{suggestion(x, known)}; costs are {', '.join(COSTS)}")
    raise Refused(f"{x} is {value!r} for {each.group.agent}: the x axis takes numbers")


def series(placed: Sequence[Placed], x: str) -> list[str]:
    """The label of the line that each group belongs to."""
    names = names_of([each.group for each in placed])
    alone = [names[str(each.group.agent)] for each in placed]
    size = x if x not in COSTS else _size(placed)
    if size is None:
        return alone
    known = {key for each in placed for key in each.axes}
    differing = [key for key in varying(placed, [size]) if key != "task"]
    for others in ([key for key in differing if key in known], differing[:SHOWN]):
        labels = [named(each, others) or each.group.agent.name for each in placed]
        cells = {(each.group.task, label, each.value(size)) for each, label in zip(placed, labels, strict=True)}
        if len(cells) == len(placed):
            short = short_names([f"x ({label})" for label in labels])
            return [short[f"x ({label})"] if "=" in label else label for label in labels]
    return alone


def _size(placed: Sequence[Placed]) -> str | None:
    """The only number in which runs differ, apart from those that follow from it; None where there are several.

    Axes of a study come before the settings that they set.
    """
    known = dict.fromkeys(key for each in placed for key in (*each.axes, *each.values))
    keys = [key for key in known if all(map(is_number, column(placed, key))) and len(set(column(placed, key))) > 1]
    return next((key for key in keys if not [other for other in varying(placed, [key]) if other in keys]), None)
