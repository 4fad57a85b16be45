"""The interventions of a run in forks that end early: what comes after the horizon is left out of them.

Tests: tests/studies/test_doctor.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from composer.blueprint import Blueprint
from composer.blueprint.forecast.clock import lengths_of
from composer.blueprint.forecast.metrics import metric_problem
from composer.blueprint.syntax.write import toml_value
from composer.interventions.triggers import Condition
from composer.spec.family import dump_tagged


def until(blueprint: Blueprint, interactions: int, env_steps: int) -> Iterator[str]:
    """Overrides for a fork that begins after ``interactions`` and ends at ``env_steps``.

    A blueprint whose triggers have moments after its end is refused, and so would be a fork that ends before them.
    Interventions that do not fire in the fork are removed, moments after its end are left out.
    """
    ends = blueprint.model_copy(update={"training": blueprint.training.model_copy(update={"env_steps": env_steps})})
    lengths, start = lengths_of(ends), lengths_of(ends, interactions)
    for name, each in blueprint.interventions.items():
        when = each.when
        leaves = [(leaf, condition) for _, leaf, condition in when.leaves()]
        late = any(condition and _late(ends, condition) for _, condition in leaves)
        if not late and not list(when.problems(lengths)):
            continue
        shorter = when.until(lengths)
        due = any(leaf.is_due(start.of(leaf.clock), lengths.of(leaf.clock), lengths) for leaf, _ in leaves)
        waits = any(condition is not None for _, condition in leaves)
        if not late and (due or waits) and not list(shorter.problems(lengths)):
            yield f"interventions.{name}.when={toml_value(dump_tagged(shorter))}"
        else:
            yield f"~interventions.{name}"


def _late(ends: Blueprint, condition: Condition) -> bool:
    return metric_problem(ends, condition.metric, condition.least_readings) is not None
