"""The metrics of a run, known before it runs: names, meanings, ranges, and when each is written.

Tests: tests/blueprint/test_metrics.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from composer.blueprint.forecast.clock import Clock, clock_of
from composer.blueprint.forecast.growth import grown_outlines
from composer.blueprint.schema import Blueprint
from composer.environments.interface import as_far_as_known
from composer.spec.metrics import Metric
from composer.spec.quantities import counted
from composer.spec.wording import listing, suggestion

SPEED = tuple(
    Metric(
        f"speed/{name}_per_second",
        f"{what} per second since the last row",
        "1/s",
        0,
        condition="from the second row on",
    )
    for name, what in (("updates", "gradient updates"), ("env_steps", "environment steps"))
)


AT_FIRINGS = "the journal, at firings"
"""Where effects are written, which no trigger reads."""


@dataclass(frozen=True)
class WrittenMetric:
    """A metric of a blueprint."""

    metric: Metric
    key: str
    """The key of the blueprint that says how often it is written; empty where none does."""
    every: int
    """Environment steps between two rows; the last row follows the last step. 0 where no clock of the run decides."""
    first: int = 0
    """Environment steps before the first row that can have it."""
    where: str = "journal"
    """``journal`` is read by triggers; effects at firings, ``timing.jsonl`` and ``MLflow`` are not."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON, which has no infinity: None in its place."""
        name, meaning, unit, low, high, condition = self.metric
        low_high = {"low": low if math.isfinite(low) else None, "high": high if math.isfinite(high) else None}
        facts = {"name": name, "meaning": meaning, "unit": unit, **low_high, "condition": condition}
        return {**facts, "key": self.key, "every_env_steps": self.every, "where": self.where}


def written_metrics(blueprint: Blueprint) -> list[WrittenMetric]:
    """Everything that a run of a valid blueprint writes: signals, episodes, evaluations, diagnostics, speed, events."""
    return [metric for part in _PARTS for metric in part(blueprint)]


def known_metrics(blueprint: Blueprint) -> list[WrittenMetric]:
    """The same of a run that is only read: without those that depend on an environment that is not built for it."""
    return [metric for part in _PARTS for metric in as_far_as_known(part(blueprint))]


def ranges(blueprint: Blueprint) -> dict[str, tuple[float, float]]:
    """The lowest and the highest possible value of each metric that has a bound, by name."""
    pairs = {each.metric.name: (each.metric.low, each.metric.high) for each in known_metrics(blueprint)}
    return {name: pair for name, pair in pairs.items() if any(map(math.isfinite, pair))}


def metric_problem(blueprint: Blueprint, name: str, readings: int, written: Sequence[WrittenMetric] = ()) -> str | None:
    """Why a trigger that needs ``readings`` of a metric before the run ends cannot fire; None where it can.

    ``written`` is what ``written_metrics`` gives, for callers who ask more than once.
    """
    written = written or written_metrics(blueprint)
    found = next((each for each in written if each.metric.is_named(name)), None)
    if found is None:
        if _may_exist(blueprint, name):
            return None
        known = {each.metric.name for each in written if each.where == "journal"}
        return f"no metric {name!r} is written{_reason(blueprint, name)}{suggestion(name, known)}"
    if found.where != "journal":
        return f"{name!r} is written to {found.where}, which no trigger reads; use a metric of the journal"
    clock, env_steps = clock_of(blueprint), blueprint.training.env_steps
    count = _rows_before_end(found, clock, env_steps)
    if count >= readings:
        return None
    wanted = f"{readings} readings in a row" if readings > 1 else "a reading"
    times = f"{counted(count, 'time')} before the last step of the run" if count else "after the last step only"
    return (
        f"never fires: {name!r} is written {times} ({found.key} = {found.every:,}, training.env_steps = {env_steps:,}),"
        f" and the trigger needs {wanted} while the run goes on"
    )


def _rows_before_end(found: WrittenMetric, clock: Clock, env_steps: int) -> int:
    """Rows that have the metric, at most, while environment steps are left."""
    last, interval = (clock.interactions_by(env_steps) - 1) * clock.stride, max(found.every, clock.stride)
    return max(last // interval - max(found.first - 1, 0) // interval, 0)


def _of_training(blueprint: Blueprint) -> Iterator[WrittenMetric]:
    every, clock, end = blueprint.training.log_every, clock_of(blueprint), blueprint.training.env_steps
    first = clock.env_step_of(1, end) or end + 1
    for metric in blueprint.algorithm.metrics(blueprint.environment.info) or ():
        when = metric._replace(condition=metric.condition or "where updates were made since the last row")
        yield WrittenMetric(when, "training.log_every", every, first)
    assessment = blueprint.algorithm.assessment
    assessed = () if assessment is None else assessment.metrics()
    for metric in (*(blueprint.environment.training_metrics() or ()), *assessed):
        yield WrittenMetric(metric, "training.log_every", every)


def _of_evaluation(blueprint: Blueprint) -> Iterator[WrittenMetric]:
    environment, every = blueprint.environment, blueprint.evaluation.every
    for metric in (environment.evaluation_metric(), *environment.further_evaluation_metrics()):
        yield WrittenMetric(metric, "evaluation.every", every)


def _of_diagnostics(blueprint: Blueprint) -> Iterator[WrittenMetric]:
    declared, trained = blueprint.diagnostics, blueprint.trained_outlines
    grown = grown_outlines(blueprint)
    outlines = {role: grown.get(role, outline) for role, outline in blueprint.learning_outlines.items()}
    growing = [each.where.select(trained) for each in blueprint.interventions.values() if each.do.growth]
    injected = {role for chosen in growing for role, _ in chosen}
    for index, measure in enumerate(declared.measures):
        key = "every" if measure.every is None else f"measures[{index}].every"
        for metric in measure.metrics(outlines):
            if "*" not in metric.name or metric.name.split("/")[1] in injected:
                yield WrittenMetric(metric, f"diagnostics.{key}", declared.every_of(measure))


def _of_effects(blueprint: Blueprint) -> Iterator[WrittenMetric]:
    signals = blueprint.algorithm.metrics(blueprint.environment.info) or ()
    for name, each in blueprint.interventions.items():
        for metric in each.measure.metrics(name, signals) if each.measure else ():
            yield WrittenMetric(metric, f"interventions.{name}.measure", 0, where=AT_FIRINGS)


def _beside_the_journal(blueprint: Blueprint) -> Iterator[WrittenMetric]:
    for metric in SPEED:
        yield WrittenMetric(metric, "training.log_every", blueprint.training.log_every, where="timing.jsonl")
    for metric in blueprint.tracking.charts(blueprint.interventions, blueprint.environment.evaluation_metric()):
        yield WrittenMetric(metric, "tracking", 0, where=blueprint.tracking.product)


_PARTS = (_of_training, _of_evaluation, _of_diagnostics, _of_effects, _beside_the_journal)


def _may_exist(blueprint: Blueprint, name: str) -> bool:
    """Whether a plug-in's kind, which does not say what it writes, may write a metric of this name."""
    algorithm, environment = blueprint.algorithm, blueprint.environment
    if name.startswith("training/"):
        return environment.training_metrics() is None
    taken = ("evaluation/", "diagnostics/", "speed/", "events/", "interventions/", "system/")
    return algorithm.metrics(environment.info) is None and not name.startswith(taken)


def undeclared(blueprint: Blueprint) -> list[str]:
    """The kinds of plug-ins that do not say what they write."""
    algorithm, environment = blueprint.algorithm, blueprint.environment
    said = {algorithm.kind: algorithm.metrics(environment.info), environment.kind: environment.training_metrics()}
    return [kind for kind, metrics in said.items() if metrics is None]


def _reason(blueprint: Blueprint, name: str) -> str:
    """What a near miss lacks, in brackets; empty where nothing is known of it."""
    prefix, _, rest = name.partition("/")
    if prefix == "diagnostics":
        measures = blueprint.diagnostics.measures
        if not measures:
            return " (no diagnostics are measured: diagnostics.measures)"
        return " (layers are reported by measures with layers = true)" if "/layers/" in name else ""
    roles = {*blueprint.networks, *blueprint.trained_outlines}
    if rest and prefix not in (*roles, "evaluation", "training", "speed", "events", "system"):
        return f" ({blueprint.algorithm.title} has no {prefix!r}: it trains {listing(roles)})"
    return ""
