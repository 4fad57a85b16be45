"""The timeline of a run: everything that its blueprint plans, in environment steps and in updates.

Tests: tests/blueprint/test_show.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from composer.blueprint.forecast.clock import Clock, clock_of, lengths_of
from composer.blueprint.forecast.effects import effect_text
from composer.blueprint.forecast.firings import entries, firings
from composer.blueprint.forecast.growth import growth_text
from composer.blueprint.forecast.kind_text import intervention_text
from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.nodes import show_path
from composer.blueprint.syntax.positions import Path
from composer.environments.declared import PlannedStage
from composer.interventions.clocks import CLOCK_STEPS, ClockName
from composer.interventions.triggers import Trigger
from composer.optim.averages import Average
from composer.optim.schedules.base import Schedule
from composer.spec.family import Spec
from composer.spec.quantities import counted
from composer.spec.wording import with_article


@dataclass(frozen=True)
class Moment:
    """One event in the run of one seed."""

    update: int
    """Updates done by then."""
    env_step: int | None
    """Environment steps done by then; None where the run ends earlier."""
    key: str
    """The key of the blueprint that decides it."""
    event: str
    every_env_steps: int | None = None
    """Interval of a repeated event; ``update`` and ``env_step`` are those of its first time."""
    every_updates: int | None = None
    every_interactions: int | None = None
    every_epochs: int | None = None
    every_phases: int | None = None
    count: int | None = 1
    """Times that it happens in the whole run; None where a metric decides."""
    parameters: int | None = None
    """Entries of the parameters that an intervention or a penalty changes, all copies of one seed."""

    def intervals(self) -> Iterator[tuple[int, str]]:
        """The interval of a repeated event, with its unit."""
        for on, name in _EVERY.items():
            if getattr(self, name):
                yield getattr(self, name), CLOCK_STEPS[on]


_EVERY: Mapping[ClockName, str] = {
    "env": "every_env_steps",
    "interaction": "every_interactions",
    "update": "every_updates",
    "epoch": "every_epochs",
    "phase": "every_phases",
}


def timeline(blueprint: Blueprint) -> list[Moment]:
    """Everything that happens, in order of time; what comes after the end of the run is last."""
    clock, env_steps = clock_of(blueprint), blueprint.training.env_steps
    moments = [
        *_learning(clock, env_steps),
        *_stages(blueprint.environment.stages(blueprint.algorithm.batch_size), clock, env_steps),
        *_schedules(blueprint, clock, env_steps),
        *_averages(blueprint.averages, clock, env_steps),
        *_interventions(blueprint, clock),
        *_penalties(blueprint, clock.env_step_of(1, env_steps)),
        *_periodic(blueprint, clock),
        _end(clock, env_steps),
    ]
    # Of what happens at once, the end is last.
    return sorted(moments, key=lambda moment: (moment.env_step is None, moment.update, moment.env_step or 0))


def half_life(momentum: float) -> float:
    """Updates after which the weight of old values has halved; infinite for an average that never moves."""
    if momentum <= 0:
        return 0.0
    return math.log(0.5) / math.log(momentum) if momentum < 1 else math.inf


def schedules(value: object, path: Path = ()) -> Iterator[tuple[Path, Schedule]]:
    """Every schedule in a blueprint, with its path."""
    if isinstance(value, Schedule):
        yield path, value
    elif isinstance(value, Spec):
        for name in type(value).model_fields:
            yield from schedules(getattr(value, name), (*path, name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from schedules(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from schedules(item, (*path, index))


def _learning(clock: Clock, env_steps: int) -> Iterator[Moment]:
    if clock.warmup:
        warmup = counted(clock.warmup, "interaction")
        yield Moment(0, 0, "algorithm.warmup_interactions", f"random actions begin, for {warmup}")
    total = clock.updates_by(env_steps)
    key, frequency = "algorithm.update_to_data", f"{clock.update_to_data:g} per interaction"
    if clock.first:
        frequency = f"{clock.first:,} at once, then {frequency}"
    if clock.rollout > 1:
        updates = round(clock.update_to_data * clock.rollout)
        key = "algorithm.rollout_interactions"
        frequency = f"{counted(updates, 'update')} after every {counted(clock.rollout, 'interaction')}"
    first = clock.env_step_of(1, env_steps)
    yield Moment(1, first, key, f"first update of {total:,}; {frequency}", count=total)


def _end(clock: Clock, env_steps: int) -> Moment:
    step = clock.interactions_by(env_steps) * clock.stride
    return Moment(clock.updates_by(env_steps), step, "training.env_steps", "end")


def _values(blueprint: Blueprint) -> Iterator[tuple[Path, Schedule]]:
    """Every schedule but those momenta that only say when a network is copied."""
    return ((path, each) for path, each in schedules(blueprint) if path[0] != "averages" or each.copies is None)


def _stages(stages: Iterable[PlannedStage], clock: Clock, env_steps: int) -> Iterator[Moment]:
    for start, key, words in stages:
        step = start * clock.stride
        yield Moment(clock.updates_by(step), step if step < env_steps else None, key, words)


def counts_interactions(blueprint: Blueprint, path: Path) -> bool:
    """Whether the schedule at ``path`` counts interactions: the table that holds it says so by a key ``clock``."""
    holder: Any = blueprint
    for key in path[:-1]:
        holder = getattr(holder, str(key)) if isinstance(holder, Spec) else holder[key]
    return getattr(holder, "clock", "") == "interaction"


def _schedules(blueprint: Blueprint, clock: Clock, env_steps: int) -> Iterator[Moment]:
    for path, schedule in _values(blueprint):
        a_kind, on = with_article(f"{schedule.kind} schedule"), _when_of(blueprint, path, clock, env_steps)
        name = show_path(path[-1:] if isinstance(path[-1], str) else path[-2:])
        for count, value in schedule.points():
            yield Moment(*on(count), show_path(path), f"{name} is {value:g}, on {a_kind}")


def _when_of(blueprint: Blueprint, path: Path, clock: Clock, env_steps: int) -> Callable[[int], tuple[int, int | None]]:
    """From a count of the schedule at ``path`` to updates and environment steps."""
    if not counts_interactions(blueprint, path):
        return lambda update: (update, clock.env_step_of(max(update, 1), env_steps))
    length = clock.interactions_by(env_steps)
    return lambda count: (clock.updates_after(count), count * clock.stride if count <= length else None)


def _averages(averages: Mapping[str, Average], clock: Clock, env_steps: int) -> Iterator[Moment]:
    for name, average in averages.items():
        momentum, key = average.momentum, f"averages.{name}.momentum"
        if copies := momentum.copies:
            (first, every), event = copies, f"{name} is copied from {average.of}"
            count = max(0, clock.updates_by(env_steps) - first + every) // every
            yield Moment(first, clock.env_step_of(first, env_steps), key, event, every_updates=every, count=count)
            continue
        lives = " to ".join(f"{value:,.3g}" for value in dict.fromkeys(map(half_life, momentum.bounds())))
        event = f"{name} begins to follow {average.of}, half-life {lives} updates"
        if min(momentum.bounds()) == 1:
            event = f"{name} begins as a copy of {average.of}; the algorithm renews it"
        yield Moment(1, clock.env_step_of(1, env_steps), key, event)


def _periodic(blueprint: Blueprint, clock: Clock) -> Iterator[Moment]:
    episodes, declared = counted(blueprint.evaluation.episodes, "episode"), blueprint.diagnostics
    repeated = [
        ("evaluation.every", blueprint.evaluation.every, f"evaluation over {episodes}"),
        ("checkpoint.every", blueprint.checkpoint.every, "checkpoint"),
        *(
            (f"diagnostics.measures[{index}]", declared.every_of(measure), f"{measure.kind} is measured")
            for index, measure in enumerate(declared.measures)
        ),
    ]
    interactions = clock.interactions_by(blueprint.training.env_steps)
    for key, every, event in repeated:
        first = min(max(-(-every // clock.stride), 1), interactions) * clock.stride
        count = times_due(every, clock.stride, interactions)
        yield Moment(clock.updates_by(first), first, key, event, every_env_steps=every, count=count)


def times_due(every: int, stride: int, interactions: int) -> int:
    """How often something happens that is due every ``every`` environment steps, and once more at the end."""
    last = interactions * stride
    due = interactions if stride >= every else last // every
    is_due_last = last // every > (last - stride) // every
    return due + (not is_due_last)


def _interventions(blueprint: Blueprint, clock: Clock) -> Iterator[Moment]:
    outlines = blueprint.trained_outlines
    for name, each in blueprint.interventions.items():
        key, chosen, when = f"interventions.{name}", each.where.select(outlines), each.when
        size = entries(chosen, outlines, blueprint.networks)
        event = f"{name}: {intervention_text(each)}, {_about(size, [role for role, _ in chosen])}"
        event += growth_text(blueprint, name) + effect_text(blueprint, name)
        event += ", counted anew in each phase" if when.counted_since == "phase" else ""
        if condition := when.condition():
            yield Moment(0, 0, key, f"{condition}, {event}", count=None, parameters=size)
        else:
            yield from _at_moments(blueprint, clock, when, Moment(0, 0, key, event, parameters=size))
        for part, trigger, watched in when.leaves():
            if part and watched is None:
                asked = Moment(0, 0, f"{key}.when.{part}", f"{name}: fires if its trigger holds", parameters=size)
                yield from _at_moments(blueprint, clock, trigger, asked)


def _at_moments(blueprint: Blueprint, clock: Clock, when: Trigger, event: Moment) -> Iterator[Moment]:
    """``event`` at the planned moments of a trigger: once with its interval, or at each."""
    found = firings(when, lengths_of(blueprint), clock.stride)
    if found is None:
        return
    repeated: dict[str, Any] = {_EVERY[when.clock]: when.period} if when.period else {}
    due, count = (found.moments[:1], found.count) if when.period else (found.moments, 1)
    for update, step in dict.fromkeys(_reached(blueprint, clock, when.clock, moment) for moment in due):
        yield replace(event, update=update, env_step=step, count=count, **repeated)


def _reached(blueprint: Blueprint, clock: Clock, on: ClockName, moment: int) -> tuple[int, int | None]:
    """Updates and environment steps at a firing that is due at a moment of the clock ``on``."""
    if on == "update":
        return moment, clock.env_step_of(moment, blueprint.training.env_steps)
    environment, batch = blueprint.environment, blueprint.algorithm.batch_size
    if on == "env":
        done = -(-moment // clock.stride)
    elif on == "epoch":
        done = environment.epoch_end(moment, batch)
    else:
        done = environment.stages(batch)[moment].start if on == "phase" else moment
    return clock.updates_by(done * clock.stride), done * clock.stride


def _about(size: int, roles: Iterable[str]) -> str:
    return f"{counted(size, 'parameter')} of {' and '.join(dict.fromkeys(roles))}"


def _penalties(blueprint: Blueprint, first: int | None) -> Iterator[Moment]:
    outlines = blueprint.trained_outlines
    for name, penalty in blueprint.penalties.items():
        chosen = penalty.chosen(outlines)
        size = entries(chosen, outlines, blueprint.networks)
        about = _about(size, [role for role, _ in chosen])
        event = f"{name}: {penalty.kind} of coefficient {penalty.coefficient:g} begins to pull {about}"
        yield Moment(1, first, f"penalties.{name}", event, parameters=size)
