"""Effects of firings from journals: means over seeds, intervals, and marks on the curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from composer.spec.interval import mean_interval
from composer.studies.compare.firing_effects import firing_effects
from composer.studies.compare.groups import Group
from composer.studies.compare.read_runs import Agent, Reading
from composer.studies.figures.curves import curves
from composer.studies.statistics import Curve


def group(values: dict[int, float]) -> Group:
    """An agent with a reset at step 200 of such an effect on each seed."""
    agent, name = Agent("a", None), "effects/reset/critic/loss"
    effects = {(name, 200): values, (f"{name}/low", 200): dict.fromkeys(values, 0.5)}
    effects |= {(f"{name}/high", 200): dict.fromkeys(values, 1.5)}
    fired = {"reset": {seed: {200: 1} for seed in values}}
    run = Reading(Path("x"), agent, "t", None, "m", {}, (), fired, effects)  # type: ignore[arg-type]
    curve = Curve(np.array([100, 200, 300]), np.ones((len(values), 3)))
    return Group(agent, "t", tuple(values), curve, (run,))


def test_the_interval_is_over_seeds_or_else_over_parts_of_the_horizon() -> None:
    (many,) = firing_effects([group({0: 1.0, 1: 2.0, 5: 3.0})])
    assert (many.intervention, many.signal, many.env_step, many.mean) == ("reset", "critic/loss", 200, 2.0)
    assert (many.low, many.high) == mean_interval([1.0, 2.0, 3.0]) and many.sign == 0
    (one,) = firing_effects([group({0: 1.0})])
    assert (one.low, one.high, one.sign) == (0.5, 1.5, 1)
    assert "parts of the horizon of one seed: 0.5 to 1.5" in one.phrase()


def test_a_measured_firing_is_written_on_the_curve() -> None:
    drawn = curves([group({0: 1.0})], "evaluation/return")
    (axes,) = (each for each in drawn.figure.axes if each.axison)
    assert [text.get_text() for text in axes.texts] == ["\N{UPWARDS ARROW}critic loss +1"]
    assert "Beside a firing" in drawn.caption
