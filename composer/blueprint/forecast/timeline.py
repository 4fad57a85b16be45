"""What happens when in a run, read off its blueprint: on the clock of environment steps and on that of updates.

A room that adds something that happens adds a function to ``_SOURCES``. Tests: tests/blueprint/test_show.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from composer.blueprint.forecast import firings as planned
from composer.blueprint.forecast.clock import Clock
from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.nodes import show_path
from composer.blueprint.syntax.positions import Path
from composer.interventions.base import Intervention
from composer.interventions.triggers import CLOCK_STEPS, ClockName, Lengths
from composer.optim.schedules import Periodic
from composer.optim.schedules.base import Schedule
from composer.spec.family import Family, Spec
from composer.spec.quantities import counted


@dataclass(frozen=True)
class Moment:
    """Something that happens in the run of one seed."""

    update: int
    """Updates done when it happens."""
    env_step: int | None
    """Environment steps done by then; None where the run ends before."""
    key: str
    """The key of the blueprint that says so."""
    event: str
    every_env_steps: int | None = None
    """Of what repeats: the interval. ``update`` and ``env_step`` are those of the first time."""
    every_updates: int | None = None
    """The interval of what repeats on the clock of updates."""
    every_interactions: int | None = None
    """The interval of what repeats on the clock of interactions."""
    every_epochs: int | None = None
    """The interval of what repeats on the clock of epochs."""
    every_phases: int | None = None
    """The interval of what repeats on the clock of phases."""
    count: int | None = 1
    """How many times it happens in the whole run; None where a metric decides."""
    parameters: int | None = None
    """Of an intervention or a penalty: entries of the parameters that it is about, all copies of one seed."""

    def intervals(self) -> Iterator[tuple[int, str]]:
        """The interval with its unit, where it repeats."""
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
Source = Callable[[Blueprint, Clock], Iterator[Moment]]


def timeline(blueprint: Blueprint) -> list[Moment]:
    """Everything that happens, in order of time; what the run is too short for comes last."""
    clock = clock_of(blueprint)
    moments = [moment for source in _SOURCES for moment in source(blueprint, clock)]
    return sorted(moments, key=lambda moment: (moment.env_step is None, moment.update, moment.env_step or 0))


def clock_of(blueprint: Blueprint) -> Clock:
    """The clock of a run of ``blueprint``, before its first step."""
    environment = blueprint.environment
    update_schedule = blueprint.algorithm.update_schedule(blueprint.environment.info)
    return Clock(
        environment.stride, update_schedule.warmup_interactions, update_schedule.update_to_data, update_schedule.rollout
    )


def lengths_of(blueprint: Blueprint) -> Lengths:
    """How far each clock goes in a run of ``blueprint``."""
    clock, asked = clock_of(blueprint), blueprint.training.env_steps
    interactions = clock.interactions_by(asked)
    environment, batch = blueprint.environment, blueprint.algorithm.batch_size
    epochs, switches = environment.epochs_by(interactions, batch), environment.switches_by(interactions, batch)
    updates, apart = clock.updates_by(asked), environment.parts_seeds
    return Lengths(interactions * clock.stride, interactions, updates, epochs, switches, phase_per_seed=apart)


def env_step_of(update: int, blueprint: Blueprint, clock: Clock) -> int | None:
    """Environment steps done when ``update`` updates are; None where the run does not make as many."""
    if update > clock.updates_by(blueprint.training.env_steps):
        return None
    interactions = clock.warmup + math.ceil(update / clock.update_to_data) if update else 0
    # The clock rounds products, this a quotient: a step apart at most.
    while interactions and clock.updates_by((interactions - 1) * clock.stride) >= update:
        interactions -= 1
    while clock.updates_by(interactions * clock.stride) < update:
        interactions += 1
    return interactions * clock.stride


def half_life(momentum: float) -> float:
    """Updates after which an average has forgotten half of what it held; infinite where it never does."""
    if momentum <= 0:
        return 0.0
    return math.log(0.5) / math.log(momentum) if momentum < 1 else math.inf


def schedules(value: object, path: Path = ()) -> Iterator[tuple[Path, Schedule]]:
    """Every schedule below a blueprint, with its path."""
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


def _learning(blueprint: Blueprint, clock: Clock) -> Iterator[Moment]:
    if clock.warmup:
        warmup = counted(clock.warmup, "interaction")
        yield Moment(0, 0, "algorithm.warmup_interactions", f"random actions begin, for {warmup}")
    total = clock.updates_by(blueprint.training.env_steps)
    key, update_schedule = "algorithm.update_to_data", f"{clock.update_to_data:g} an interaction"
    if clock.rollout > 1:
        each = round(clock.update_to_data * clock.rollout)
        key = "algorithm.rollout_interactions"
        update_schedule = f"{counted(each, 'update')} after every {counted(clock.rollout, 'interaction')}"
    yield Moment(1, env_step_of(1, blueprint, clock), key, f"first update of {total:,}; {update_schedule}", count=total)
    last = clock.interactions_by(blueprint.training.env_steps) * clock.stride
    yield Moment(total, last, "training.env_steps", "end")


def _stages(blueprint: Blueprint, clock: Clock) -> Iterator[Moment]:
    for start, key, words in blueprint.environment.stages(blueprint.algorithm.batch_size):
        step = start * clock.stride
        yield Moment(clock.updates_by(step), step, key, words)


def _schedules(blueprint: Blueprint, clock: Clock) -> Iterator[Moment]:
    for path, schedule in schedules(blueprint):
        for update, value in schedule.points():
            yield Moment(
                update,
                env_step_of(max(update, 1), blueprint, clock),
                show_path(path),
                f"{value:g}, on {'an' if schedule.kind[0] in 'aeiou' else 'a'} {schedule.kind} schedule",
            )


def _averages(blueprint: Blueprint, clock: Clock) -> Iterator[Moment]:
    for name, average in blueprint.averages.items():
        momentum = average.momentum
        if isinstance(momentum, Periodic) and momentum.value == 1 and momentum.at == 0:
            event, total = f"{name} is copied from {average.of}", clock.updates_by(blueprint.training.env_steps)
            key, first = f"averages.{name}.momentum", env_step_of(momentum.every, blueprint, clock)
            count = total // momentum.every
            yield Moment(momentum.every, first, key, event, every_updates=momentum.every, count=count)
            continue
        ends = dict.fromkeys(half_life(value) for value in average.momentum.bounds())
        lives = " to ".join(f"{value:,.3g}" for value in ends)
        event = f"{name} begins to follow {average.of}, half-life {lives} updates"
        yield Moment(1, env_step_of(1, blueprint, clock), f"averages.{name}.momentum", event)


def _periodic(blueprint: Blueprint, clock: Clock) -> Iterator[Moment]:
    episodes, measured = counted(blueprint.evaluation.episodes, "episode"), blueprint.diagnostics
    repeated = [
        ("evaluation.every", blueprint.evaluation.every, f"evaluation over {episodes}"),
        ("checkpoint.every", blueprint.checkpoint.every, "checkpoint"),
    ]
    for index, measure in enumerate(measured.measures):
        repeated.append(
            (f"diagnostics.measures[{index}]", measured.every_of(measure), f"{measure.kind} is measured"),
        )
    for key, every, event in repeated:
        interactions = clock.interactions_by(blueprint.training.env_steps)
        first = min(max(-(-every // clock.stride), 1), interactions) * clock.stride
        count = firings(every, clock.stride, interactions)
        yield Moment(clock.updates_by(first), first, key, event, every_env_steps=every, count=count)


def _interventions(blueprint: Blueprint, clock: Clock) -> Iterator[Moment]:
    outlines = planned.sizes(blueprint)
    for name, each in blueprint.interventions.items():
        key, chosen = f"interventions.{name}", each.where.select(outlines)
        size = planned.entries(blueprint, chosen)
        event = f"{name}: {_done(each)}, {_about(size, [role for role, _ in chosen])}"
        found = planned.firings(blueprint, each.when, clock)
        if condition := each.when.condition():
            yield Moment(0, 0, key, f"{condition}, {event}", count=None, parameters=size)
        elif found is not None:
            interval = each.when.period
            repeated = {_EVERY[each.when.clock]: interval} if interval else {}
            due = found.moments[:1] if interval else found.moments
            for update, step in dict.fromkeys(_reached(blueprint, clock, each.when.clock, moment) for moment in due):
                count = found.count if interval else 1
                yield Moment(update, step, key, event, count=count, parameters=size, **repeated)


def _reached(blueprint: Blueprint, clock: Clock, on: ClockName, moment: int) -> tuple[int, int | None]:
    """Updates and environment steps done when something fires that is due at a moment of a clock."""
    if on == "update":
        return moment, env_step_of(moment, blueprint, clock)
    environment, batch = blueprint.environment, blueprint.algorithm.batch_size
    if on == "env":
        done = -(-moment // clock.stride)
    elif on == "epoch":
        done = environment.epoch_end(moment, batch)
    else:
        done = environment.stages(batch)[moment].start if on == "phase" else moment
    return clock.updates_by(done * clock.stride), done * clock.stride


def _done(each: Intervention) -> str:
    """What an intervention does, with what is not left at its default beside it."""
    beside = {"moments": each.moments, "target": each.target, "schedules": each.schedules}
    return ", ".join([_told(each.do), *(f"{key} {value}" for key, value in beside.items() if value != "keep")])


def _told(spec: Family) -> str:
    """A kind and what was written of its keys: ``lerp toward fresh, amount 0.5``."""
    written = {key: getattr(spec, key) for key in type(spec).model_fields if key in spec.model_fields_set}
    keys = (f"{key} {_told(item) if isinstance(item, Family) else item}" for key, item in written.items())
    return f"{spec.kind} {', '.join(keys)}".rstrip()


def _about(size: int, roles: Iterable[str]) -> str:
    return f"{counted(size, 'parameter')} of {' and '.join(dict.fromkeys(roles))}"


def _penalties(blueprint: Blueprint, clock: Clock) -> Iterator[Moment]:
    outlines = planned.sizes(blueprint)
    for name, penalty in blueprint.penalties.items():
        chosen = penalty.where.select(outlines)
        size = planned.entries(blueprint, chosen)
        about = _about(size, [role for role, _ in chosen])
        event = f"{name}: {penalty.kind} of coefficient {penalty.coefficient:g} begins to pull {about}"
        yield Moment(1, env_step_of(1, blueprint, clock), f"penalties.{name}", event, parameters=size)


def firings(every: int, stride: int, interactions: int) -> int:
    """How often something happens that is due every ``every`` environment steps and once more at the end."""
    last = interactions * stride
    due = interactions if stride >= every else last // every
    is_due_last = last // every > (last - stride) // every
    return due + (not is_due_last)


_SOURCES: tuple[Source, ...] = (_learning, _stages, _schedules, _averages, _interventions, _penalties, _periodic)
