"""From the clock of a trigger to interactions and updates. Tests: tests/blueprint/test_warnings.py."""

from __future__ import annotations

from composer.blueprint.forecast.clock import clock_of, lengths_of
from composer.blueprint.schema import Blueprint
from composer.interventions.clocks import ClockName
from composer.interventions.triggers import Trigger
from composer.spec.quantities import counted


def interactions_of(blueprint: Blueprint, on: ClockName, moment: int) -> float:
    """Interactions after which a clock reads ``moment``; on the clock ``phase`` those of so many average phases."""
    clock, environment, batch = clock_of(blueprint), blueprint.environment, blueprint.algorithm.batch_size
    if on == "env":
        return moment / clock.stride
    if on == "update":
        step = clock.env_step_of(moment, blueprint.training.env_steps)
        return (step or 0) / clock.stride
    if on == "epoch":
        return environment.epoch_end(moment, batch)
    if on == "phase":
        starts = [stage.start for stage in environment.stages(batch)]
        return starts[moment] if moment < len(starts) else lengths_of(blueprint).interaction
    return moment


def updates_in(blueprint: Blueprint, on: ClockName, period: int) -> float:
    """Updates in ``period`` steps of a clock, after the warm-up."""
    if on == "update":
        return period
    environment, batch = blueprint.environment, blueprint.algorithm.batch_size
    phases = max(len(environment.stages(batch)), 1)
    interactions = {
        "env": period / environment.stride,
        "interaction": period,
        "epoch": period * environment.epoch_interactions(batch),
        "phase": period * lengths_of(blueprint).interaction / phases,
    }
    return interactions[on] * clock_of(blueprint).update_to_data


def fires_without_pause(blueprint: Blueprint, when: Trigger) -> str:
    """That a trigger fires after every interaction or update, in words; empty where it does not."""
    period, on = when.period, when.clock
    if period is None or len(when.moments(lengths_of(blueprint))) < 2:
        return ""
    if on == "update" and period == 1:
        return "fires after every update"
    if on in ("env", "interaction") and interactions_of(blueprint, on, period) <= 1:
        one = counted(blueprint.environment.stride, "environment step")
        return f"fires after every interaction (one interaction is {one})"
    return ""
