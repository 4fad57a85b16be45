"""What the diagnostics cost: processor time of a reading of each, and its share of a training at default intervals.

Tests: tests/benchmarks/test_growth.py.
"""

from __future__ import annotations

import time
from functools import partial
from statistics import median
from typing import Any

from benchmarks.growth.updates import declared, stepped
from composer.blueprint import Blueprint
from composer.diagnostics.base import Diagnostic, Diagnostics
from composer.training.diagnose.recorder import Recorder
from composer.training.timing import in_turns, lap


def applicable(blueprint: Blueprint) -> list[Diagnostic]:
    """Every kind at its defaults, without those that need another network or algorithm."""
    found = []
    for kind in Diagnostic.kinds().values():
        measure = kind()
        if not any(Diagnostics(measures=(measure,)).problems(blueprint.learning_outlines)):
            found.append(measure)
    return found


def measure(rounds: int = 3, seconds: float = 0.5) -> list[dict[str, Any]]:
    """A row per kind, and one of all: milliseconds of a reading, its interval, and percent of a training."""
    blueprint = declared(())
    with stepped(blueprint, updates=600) as (session, step):
        learner, replay = session.learner, session.collector.replay
        calls: dict[str, Any] = {"an interaction": step}
        every = {}
        for each in applicable(blueprint):
            asked = Diagnostics(measures=(each,))
            recorder = Recorder(asked, blueprint.agent, learner.device)
            calls[each.kind], every[each.kind] = partial(recorder.read_all, learner, replay), asked.every_of(each)
        laps = {name: partial(lap, call, seconds, lambda: None, time.process_time) for name, call in calls.items()}
        rates = in_turns(laps, rounds)
    costs = {name: median(1e3 / each.rate for each in found) for name, found in rates.items()}
    steps = session.clock.stride
    rows: list[dict[str, Any]] = [
        {"measure": "an interaction", "ms": costs["an interaction"], "every": steps, "percent": None}
    ]
    for name, interval in every.items():
        share = 100 * costs[name] / (costs["an interaction"] * interval / steps)
        rows.append({"measure": name, "ms": costs[name], "every": interval, "percent": share})
    total = sum(row["percent"] for row in rows if row["percent"] is not None)
    return [*rows, {"measure": "all", "ms": sum(costs[name] for name in every), "every": None, "percent": total}]
