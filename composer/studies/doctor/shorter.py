"""The interventions of a run in forks that end early: what comes after the horizon is left out of them.

Tests: tests/studies/test_doctor.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from composer.blueprint import Blueprint
from composer.blueprint.forecast.clock import lengths_of
from composer.blueprint.forecast.metrics import metric_problem
from composer.blueprint.syntax.write import toml_value
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
        metric, length = when.watched_metric(), lengths.of(when.clock)
        late = metric is not None and metric_problem(ends, metric, when.least_readings)
        if not late and not list(when.problems(lengths)):
            continue
        shorter = when.until(length)
        if shorter.is_due(start.of(when.clock), length, lengths) and not list(shorter.problems(lengths)):
            yield f"interventions.{name}.when={toml_value(dump_tagged(shorter))}"
        else:
            yield f"~interventions.{name}"
