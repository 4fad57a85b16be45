"""Carry the state of a checkpoint into a fork: everything that both have, by name. The rest of the fork starts fresh.

A new average starts as a copy of its network. Tests: tests/training/test_fork.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from composer.optim.steps import OptimizerState
from composer.training.fork import NotForkable
from composer.training.learner import Learner
from composer.training.runs.checkpoint import Snapshot

if TYPE_CHECKING:
    from composer.blueprint import Average
    from composer.diagnostics.base import Diagnostics
    from composer.interventions.base import Intervention
    from composer.training.session import Session

DIAGNOSTICS = "diagnostics/"


@dataclass(frozen=True)
class Carried:
    """A snapshot that restores the fork, and the names of the state that it adds or drops."""

    snapshot: Snapshot
    fresh: tuple[str, ...]
    """State that the checkpoint does not have: roles and averages, or parts of them."""
    dropped: tuple[str, ...]
    """State that the fork does not have."""


@dataclass(frozen=True)
class Declared:
    """The averages, diagnostics and interventions of a blueprint, whose state a fork may keep."""

    averages: Mapping[str, Average]
    diagnostics: Diagnostics
    interventions: Mapping[str, Intervention]


def _read_anew(
    tensors: Mapping[str, Tensor], then: Mapping[str, Intervention], now: Mapping[str, Intervention]
) -> Iterator[tuple[str, Tensor]]:
    """State of triggers whose conditions change: what was read for the old ones does not count for the new."""
    for name in then.keys() & now.keys():
        if then[name].when.conditions() == now[name].when.conditions():
            continue
        for key in ("streak", "readings", "past"):
            if (state := tensors.get(f"interventions/{name}/{key}")) is not None:
                state = state.clone()
                state[: -1 if key == "streak" else None] = 0  # The last row of streaks is the last firing.
                yield f"interventions/{name}/{key}", state


@torch.no_grad()
def carried(saved: Snapshot, old: Learner, then: Declared, session: Session, now: Declared) -> Carried:
    """The checkpoint as a snapshot of ``session``, whose networks first take the structure of the checkpoint.

    ``old`` is the agent of the checkpoint: the state of its optimizers is matched by the paths of parameters.
    """
    tensors = dict(saved.tensors)
    for name, value in session.surgery.tensors().items():
        if name not in tensors or tensors[name].shape != value.shape:
            tensors[name] = value.clone()
    tensors |= dict(_read_anew(tensors, then.interventions, now.interventions))
    session.surgery.restore(tensors)
    new = session.learner
    if old.program.signals != new.program.signals:
        tensors["signals"] = new.tensors()["signals"].clone()
    for role, optimizer in new.optimizers.items():
        if role in old.optimizers:
            tensors |= _optimizer(role, old.optimizers[role], optimizer, saved.tensors)
    named, before = new.tensors(), old.tensors()
    fresh, dropped = [name for name in named if name not in before], [name for name in before if name not in named]
    for name in fresh:
        tensors.setdefault(name, named[name].clone())
    streams = {f"random/{name}": generator.get_state() for name, generator in new.generators().items()}
    # The random stream of a CPU cannot continue on a GPU, nor the other way round.
    anew = {name: state for name, state in streams.items() if tensors[name].shape != state.shape}
    tensors |= anew
    tensors |= _averages(then.averages, now.averages, new, tensors)
    for name, value in named.items():
        if tensors[name].shape != value.shape:
            raise NotForkable(f"{name} would be {tuple(value.shape)}, the checkpoint has {tuple(tensors[name].shape)}")
    measured = dict(_measured(saved, then.diagnostics, now.diagnostics))
    values: dict[str, Any] = {**saved.values, "diagnostics": sorted(measured)}
    tensors |= {DIAGNOSTICS + name: value for name, value in measured.items()}
    snapshot = Snapshot(tensors, values, saved.segments)
    return Carried(snapshot, (*_groups(fresh, before), *anew), _groups(dropped, named))


def _optimizer(role: str, old: OptimizerState, new: OptimizerState, saved: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of a role's optimizer by name. Counts are in one tensor, in the order of the parameters."""
    prefix, theirs, ours = f"optimizers/{role}/", old.tensors(), new.tensors()
    if list(old.paths()) == list(new.paths()) and theirs.keys() == ours.keys():
        return {prefix + name: value.clone() for name, value in theirs.items()}
    if len(old.counters()) == len(new.counters()):
        for counter, value in zip(new.counters(), old.counters(), strict=True):
            counter.copy_(value)
    for path in new.paths():
        if path in old.paths() and len(old.moments(path)) == len(new.moments(path)):
            new.count(path).copy_(old.count(path))
            for moment, value in zip(new.moments(path), old.moments(path), strict=True):
                moment.copy_(value)
        if (origin := new.origin(path)) is not None:
            then = old.origin(path) if path in old.paths() else None
            origin.copy_(saved.get(f"networks/{role}/{path}", origin) if then is None else then)
    return {prefix + name: value.clone() for name, value in ours.items()}


def _averages(
    old: Mapping[str, Average], new: Mapping[str, Average], learner: Learner, tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Averages that are new, or follow another network than before, as copies of that network."""
    copies: dict[str, Tensor] = {}
    for name, (of, average) in learner.averaged_roles().items():
        if name not in old or old[name].of != new[name].of:
            copies |= {f"averages/{name}/{path}": tensors[f"networks/{of}/{path}"] for path in average.averaged()}
    return copies


def _measured(saved: Snapshot, was: Diagnostics, now: Diagnostics) -> Iterator[tuple[str, Tensor]]:
    """The probe batch, if kind and size stay, and the memory of measures that stay."""
    if (was.batch, was.probe) != (now.batch, now.probe):
        return
    before = [_but_interval(measure) for measure in was.measures]
    places = {"probe/": "probe/"}
    for index, measure in enumerate(now.measures):
        if _but_interval(measure) in before:
            places[f"memory/{before.index(_but_interval(measure))}/"] = f"memory/{index}/"
    for name in saved.values["diagnostics"]:
        for place, other in places.items():
            if name.startswith(place):
                yield other + name.removeprefix(place), saved.tensors[DIAGNOSTICS + name]


def _but_interval(measure: Any) -> Any:
    return measure.model_copy(update={"every": None})


def _groups(names: Sequence[str], others: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Names of tensors for people: a whole role in place of its tensors where the other side has none of them."""
    heads = {"/".join(name.split("/")[:2]) for name in others}
    found = []
    for name in names:
        head = "/".join(name.split("/")[:2])
        found.append(head if head not in heads else name)
    return tuple(dict.fromkeys(found))
