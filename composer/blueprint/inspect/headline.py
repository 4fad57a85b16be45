"""What a run trains, in one line. Tests: tests/blueprint/test_show.py."""

from __future__ import annotations

from collections.abc import Sequence

from composer.blueprint.forecast.clock import clock_of
from composer.blueprint.inspect.agent_name import agent_name
from composer.blueprint.schema import Blueprint
from composer.spec.quantities import counted


def headline(blueprint: Blueprint) -> str:
    """``quickstart: sac on cartpole-swingup, 60,000 environment steps, 29,000 updates, seed 0``."""
    name, steps = agent_name(blueprint, blueprint.derived.get("variant")), blueprint.training.env_steps
    lengths = f"{counted(steps, 'environment step')}, {counted(clock_of(blueprint).updates_by(steps), 'update')}"
    return f"{name}: {blueprint.algorithm.kind} on {blueprint.environment.title}, {lengths}, {_seeds(blueprint.seeds)}"


def _seeds(seeds: Sequence[int]) -> str:
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    is_range = list(seeds) == list(range(seeds[0], seeds[0] + len(seeds)))
    return f"seeds {seeds[0]} to {seeds[-1]}" if is_range else f"seeds {', '.join(map(str, seeds))}"
