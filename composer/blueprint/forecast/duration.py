"""How long a run may take, guessed from its arithmetic where nothing was measured.

``composer study plan`` measures instead: it trains a few seconds of each run. Tests: tests/studies/test_catalogue.py.
"""

from __future__ import annotations

from composer.blueprint.forecast.clock import clock_of
from composer.blueprint.forecast.flops import update_flops
from composer.blueprint.schema import Blueprint

GIGAFLOPS = 20.0
"""Operations a nanosecond, and seconds of an update and of an interaction beside them, where nothing was measured."""
UPDATE_SECONDS, INTERACTION_SECONDS = 5e-3, 5e-4
UNCERTAINTY = 10
"""The guess may be as many times too long or too short."""


def guessed_seconds(blueprint: Blueprint) -> float:
    """Seconds of a run on one CPU, all seeds together."""
    clock, steps = clock_of(blueprint), blueprint.training.env_steps
    updates, interactions = clock.updates_by(steps), clock.interactions_by(steps)
    flops = update_flops(blueprint) * updates
    return flops / (GIGAFLOPS * 1e9) + updates * UPDATE_SECONDS + interactions * INTERACTION_SECONDS
