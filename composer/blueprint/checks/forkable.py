"""Check whether a checkpoint can be continued under a changed blueprint, before a fork writes anything.

Tests: tests/training/test_fork.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from composer.blueprint.forecast.clock import lengths_of
from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import Difference, diff
from composer.interventions.base import Intervention

SHOWN = 3
"""Most changed keys that one problem names as its cause."""
RUNS_THE_SAME = ("environment.workers", "environment.timeout_seconds")
"""Keys of a simulator that change how it runs, but not what it does."""

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class ForkPoint:
    """The state of a checkpoint that another blueprint has to fit."""

    interactions: int
    device: str
    replay_start: int
    """Index of the oldest transition kept; 0 where none has been overwritten."""
    replay_added: int
    """Transitions added so far, per seed."""
    fired: frozenset[str]
    """Interventions that have fired."""


def fork_problems(old: Blueprint, new: Blueprint, point: ForkPoint, device: str) -> list[str]:
    """Why a checkpoint of ``old`` cannot continue under ``new`` on ``device``; empty where it can."""
    changed = {found.key: found for found in diff(old, new)}
    return [
        *_seeds(changed, old),
        *_device(point, device),
        *_length(old, new, point),
        *_environment(changed, old, new, point),
        *_rollout(old, new),
        *_replay(new, point),
        *_shapes(changed, old, new),
        *_injections(old, new, point),
        *_moments(old, new, point),
    ]


def _seeds(changed: Mapping[str, Difference], old: Blueprint) -> Iterator[str]:
    if any(key.startswith("seeds[") for key in changed):
        yield f"seeds: a fork goes on with the seeds of its run, {list(old.seeds)}"


def _device(point: ForkPoint, device: str) -> Iterator[str]:
    if device != point.device:
        yield f"compute.device: the random streams of {point.device!r} cannot go on on {device!r}"


def _length(old: Blueprint, new: Blueprint, point: ForkPoint) -> Iterator[str]:
    step = point.interactions * old.environment.stride
    if new.training.env_steps <= step:
        yield (
            f"training.env_steps: {new.training.env_steps:,} is reached, the checkpoint is of environment step"
            f" {step:,}; go on further with training.env_steps=N, or from an earlier checkpoint with --at STEP"
        )


def _environment(changed: Mapping[str, Difference], old: Blueprint, new: Blueprint, point: ForkPoint) -> Iterator[str]:
    """Episodes in progress cannot move to another simulator; labelled data have no state but the number of batches."""
    if not old.environment.is_simulator:
        if new.environment.is_simulator:
            yield f"{_change(changed['environment.kind'])}: a run on labelled data has no episodes to go on with"
        return
    if new.environment.continues(old.environment, point.interactions):
        return
    for key, found in changed.items():
        if key.startswith("environment.") and key not in RUNS_THE_SAME:
            yield f"{_change(found)}: the episodes in progress cannot go on in another environment"


def _rollout(old: Blueprint, new: Blueprint) -> Iterator[str]:
    """A rollout in progress fits its own length only, and only an on-policy learner can use it."""
    ours, theirs = new.algorithm, old.algorithm
    now, then = ours.rollout_plan, theirs.rollout_plan
    if ours.learns_on_policy != theirs.learns_on_policy:
        yield f"algorithm.kind: what {theirs.kind!r} has stored cannot go on under {ours.kind!r}: one learns on policy"
    elif now and then and now.interactions != then.interactions:
        yield (
            f"algorithm.rollout_interactions ({then.interactions:,} then, {now.interactions:,} now): the rollout in"
            " progress cannot go on at another length"
        )


def _replay(new: Blueprint, point: ForkPoint) -> Iterator[str]:
    copies, held = new.environment.copies_per_seed, point.replay_added - point.replay_start
    if point.replay_start and new.environment.is_simulator and not new.algorithm.learns_on_policy:
        capacity = new.replay.capacity // copies * copies
        if capacity > held:
            yield (
                f"replay.capacity: {capacity:,} cannot be filled: older transitions than the last"
                f" {held:,} have been overwritten"
            )


def _shapes(changed: Mapping[str, Difference], old: Blueprint, new: Blueprint) -> Iterator[str]:
    for role, theirs in _network_shapes(old).items():
        ours = _network_shapes(new).get(role, {})
        path = next((path for path in theirs if path in ours and theirs[path] != ours[path]), None)
        if path is not None:
            within = [found for key, found in changed.items() if key.startswith(f"networks.{role}.")]
            causes = within or list(changed.values())
            more = f" and {len(causes) - SHOWN} more" if len(causes) > SHOWN else ""
            yield (
                f"{', '.join(map(_change, causes[:SHOWN]))}{more}: {role}.{path} would be {_size(ours[path])},"
                f" and the checkpoint has {_size(theirs[path])}"
            )


def _injections(old: Blueprint, new: Blueprint, point: ForkPoint) -> Iterator[str]:
    """Injected terms stay in the network: removing them would change its output."""
    for name, each in old.interventions.items():
        if not each.do.changes_structure or name not in point.fired:
            continue
        now = new.interventions.get(name)
        if each.do.reshapes:
            if now is None or (now.do, now.where) != (each.do, each.where):
                yield f"interventions.{name}: its network has grown already; a fork keeps its 'where' and 'do'"
        elif now is None or _terms(each, old) != _terms(now, new):
            yield (
                f"interventions.{name}: it has injected its network already, and the terms stay; a fork keeps its"
                " 'where', 'do.third_term', and whether 'when' waits for a metric"
            )


def _moments(old: Blueprint, new: Blueprint, point: ForkPoint) -> Iterator[str]:
    """A new trigger whose moments are all in the past is a mistake."""
    lengths, start = lengths_of(new), lengths_of(new, point.interactions)
    for name, each in new.interventions.items():
        when, before = each.when, old.interventions.get(name)
        length, now = lengths.of(when.clock), start.of(when.clock)
        if (before is not None and before.when == when) or not when.moments(lengths):
            continue
        if not when.is_due(now, length, lengths):
            yield (
                f"interventions.{name}.when: never fires: the fork begins at {now:,} on the clock"
                f" {when.clock!r} and ends at {length:,}"
            )


def _terms(each: Intervention, blueprint: Blueprint) -> tuple[object, ...]:
    """The settings that determine the structure of an injected network."""
    has_twin = each.do.growth and each.do.growth.has_twin
    return has_twin, each.when.is_per_seed(lengths_of(blueprint)), each.where.select(blueprint.trained_outlines)


def _network_shapes(blueprint: Blueprint) -> dict[str, Shapes]:
    """By role and path of parameters and buffers: copies, then the shape of one."""
    found: dict[str, Shapes] = {}
    for role, outline in blueprint.sound_outlines.items():
        copies = blueprint.networks[role].copies
        found[role] = {path: (copies, *plan.shape) for path, plan in outline.named_parameters()}
        found[role] |= {path: (copies, *plan.shape) for path, plan in outline.named_buffers()}
    return found


def _change(found: Difference) -> str:
    return f"{found.key} ({_value(found.left)} then, {_value(found.right)} now)"


def _value(value: object) -> str:
    return "absent" if value is None else str(value)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} x {shape[1:]}" if shape[0] > 1 else str(shape[1:])
