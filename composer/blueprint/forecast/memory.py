"""How much memory a run will take, counted before anything is allocated. Tests: tests/blueprint/test_show.py."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path as FilePath

from composer.blueprint.forecast import firings as planned
from composer.blueprint.forecast.clock import clock_of, lengths_of
from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.positions import Path
from composer.networks.outline import Outline
from composer.spec.shape import ShapeError

FLOAT = 4
"""Bytes of a number: everything that is large is float32."""
INTEGER = 8
"""Bytes of a counter or a key of a random stream."""

_CGROUP = FilePath("/sys/fs/cgroup")


@dataclass(frozen=True)
class Held:
    """Bytes of one network, all copies and seeds together."""

    parameters: int = 0
    buffers: int = 0
    gradients: int = 0
    """Of trainable parameters."""
    optimizer: int = 0
    """Moments of trainable parameters."""
    averages: Mapping[str, int] = field(default_factory=dict)
    """Each average of this network, by name: parameters and buffers."""
    injections: int = 0
    """What all planned injections add to all of the above."""
    anchors: int = 0
    """First draws that penalties keep."""

    @property
    def total(self) -> int:
        """All of it."""
        own = self.parameters + self.buffers + self.gradients + self.optimizer + sum(self.averages.values())
        return own + self.injections + self.anchors


@dataclass(frozen=True)
class Forecast:
    """Bytes that a run allocates for its lifetime, all seeds together."""

    networks: Mapping[str, Held]
    """By role."""
    transitions: int
    """Transitions that are kept."""
    in_memory: int
    """Bytes of a transition that are in memory under every ``replay.storage``."""
    movable: int
    """Bytes of a transition that are on disk with ``replay.storage = "disk"``, and in memory otherwise."""
    is_on_disk: bool = False
    replay_key: Path = ("replay", "capacity")
    """The key that decides how many transitions are kept."""

    @property
    def replay(self) -> int:
        """Memory of the transitions, without what is on disk."""
        return self.transitions * (self.in_memory + (0 if self.is_on_disk else self.movable))

    @property
    def disk(self) -> int:
        """Files of the run directory that hold the replay during the run; checkpoints are not counted."""
        return self.transitions * self.movable if self.is_on_disk else 0

    @property
    def total(self) -> int:
        """All memory; that of a GPU is counted as if it were the host's."""
        return sum(held.total for held in self.networks.values()) + self.replay

    def on_disk(self) -> Forecast:
        """The same run with its replay on disk."""
        return replace(self, is_on_disk=True)

    def parts(self) -> dict[Path, int]:
        """Bytes by the key of the blueprint that decides them."""
        networks: dict[Path, int] = {("networks", role): held.total for role, held in self.networks.items()}
        return {self.replay_key: self.replay, **networks}


def outlines(blueprint: Blueprint) -> dict[str, Outline | ShapeError]:
    """The outline of one copy of each network that the algorithm knows, or why it has none."""
    return dict(blueprint.outlines)


def sound_outlines(blueprint: Blueprint) -> dict[str, Outline]:
    """The same of a blueprint whose shapes are known to meet."""
    return {role: found for role, found in outlines(blueprint).items() if isinstance(found, Outline)}


def forecast(blueprint: Blueprint) -> Forecast:
    """Bytes of networks and replay, computed once and kept with the blueprint; activations are not counted.

    A network takes four bytes a parameter and an entry of its statistics, as many again for each average of it, and
    for each trainable parameter those of its gradient and of every optimizer moment; times copies and seeds. A
    transition takes two observations (of pictures: one frame), an action, a reward and two flags; on disk lie all of
    them, of pictures the frames. What is declared is counted: a run too short to fill its replay allocates less. An
    injection that a metric may repeat without limit counts once. A network without an outline counts as nothing.
    """
    known: Forecast | None = blueprint.derived.get("memory")
    if known is None:
        known = blueprint.derived["memory"] = _forecast(blueprint)
    return known


def allocated(blueprint: Blueprint) -> Forecast:
    """The same for the transitions that a run stores: it may be too short to fill its replay."""
    return replace(forecast(blueprint), transitions=transitions_allocated(blueprint) * len(blueprint.seeds))


def _forecast(blueprint: Blueprint) -> Forecast:
    networks = {role: _held(blueprint, role, outline) for role, outline in blueprint.outlines.items()}
    info = blueprint.environment.info
    large, small = FLOAT * (2 * math.prod(info.observation) + info.action_size + 3), 0
    if info.pictures:  # One frame of one byte a pixel, numbers, and where an episode begins.
        large = math.prod(info.observation) // max(info.stacked_frames, 1)
        small = FLOAT * (info.action_size + 3) + INTEGER
    if blueprint.replay.sampling.kind == "prioritised":
        small += INTEGER
    held = transitions_held(blueprint) * len(blueprint.seeds)
    if blueprint.algorithm.learns_on_policy:
        return Forecast(networks, held, large + small, 0, replay_key=("algorithm", "rollout_interactions"))
    return Forecast(networks, held, small, large, is_on_disk=blueprint.replay.storage == "disk")


def transitions_held(blueprint: Blueprint) -> int:
    """Transitions of one seed that are kept: the replay's, or those of a rollout; none of labelled data."""
    environment, algorithm = blueprint.environment, blueprint.algorithm
    if not environment.is_simulator:
        return 0
    if (plan := algorithm.rollout_plan) is None:
        return blueprint.replay.capacity
    info = blueprint.environment.info
    # Of a full ring of pictures the oldest rows are frames alone.
    frames = max(info.stacked_frames, 1) if info.pictures else 0
    return (plan.interactions + frames) * environment.copies_per_seed


def transitions_allocated(blueprint: Blueprint) -> int:
    """The same as far as there is room for them: a ring that is never filled need not be there as a whole.

    Without wrapping, its size changes no draw.
    """
    environment, held = blueprint.environment, transitions_held(blueprint)
    if not environment.is_simulator or blueprint.algorithm.learns_on_policy:
        return held
    return min(held, clock_of(blueprint).interactions_by(blueprint.training.env_steps) * environment.copies_per_seed)


def _held(blueprint: Blueprint, role: str, outline: Outline | ShapeError) -> Held:
    if not isinstance(outline, Outline):
        return Held()
    members = blueprint.networks[role].copies * len(blueprint.seeds)
    optimizer = blueprint.optimizers.get(role)
    parameters = outline.count() * members * FLOAT
    buffers = sum(plan.count * (FLOAT if plan.kind == "statistic" else INTEGER) for _, plan in outline.named_buffers())
    buffers *= members
    trained = outline.count(trainable_only=True) * members * FLOAT if optimizer else 0
    return Held(
        parameters=parameters,
        buffers=buffers,
        gradients=trained,
        optimizer=trained * optimizer.moments() if optimizer else 0,
        averages={name: parameters + buffers for name, average in blueprint.averages.items() if average.of == role},
        injections=_injections(blueprint, role, outline) * members,
        anchors=_anchors(blueprint, role, outline) * members,
    )


def _injections(blueprint: Blueprint, role: str, outline: Outline) -> int:
    """Bytes of one copy: each injection adds one term or two, which every average of the network takes too.

    As many parameters are trained as before, but where the terms before go on being trained, or where seeds are
    injected at times of their own: a frozen term of one seed is then a trained one of another.
    """
    outlines, lengths = planned.sizes(blueprint), lengths_of(blueprint)
    name = planned.injected(blueprint.interventions, outlines).get(role)
    if name is None:
        return 0
    each, paths = blueprint.interventions[name], dict(outline.named_parameters())
    growth, optimizer = each.do.growth, blueprint.optimizers.get(role)
    assert growth is not None
    chosen = [paths[path] for _, path in each.where.select(outlines)]
    size, trained = (sum(plan.count for plan in chosen if plan.trainable >= only) for only in (False, True))
    terms = 2 if growth.has_twin else 1
    held = 1 + sum(average.of == role for average in blueprint.averages.values())
    alone = each.when.is_per_seed(lengths) and len(blueprint.seeds) > 1
    more = trained * (1 + optimizer.moments()) if optimizer and (alone or not growth.freezes_original) else 0
    times = planned.injections(each.when, lengths, blueprint.environment.stride)
    return times * (size * terms * held + more) * FLOAT


def _anchors(blueprint: Blueprint, role: str, outline: Outline) -> int:
    """Bytes of one copy: a parameter for every penalty that pulls it to its first draw."""
    outlines = planned.sizes(blueprint)
    trained = {(role, path): plan.count for path, plan in outline.named_parameters() if plan.trainable}
    kept = [penalty.where.select(outlines) for penalty in blueprint.penalties.values() if penalty.anchored]
    return sum(trained.get(place, 0) for chosen in kept for place in chosen) * FLOAT


@cache
def available_bytes() -> int:
    """Memory that this process may still take: the machine's, or its control group's where that is less."""
    import psutil

    available = int(psutil.virtual_memory().available)
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return available
    return min(available, max(limit - used, 0))


def disk_bytes(folder: FilePath) -> int:
    """Room on the disk that a folder, which need not be there yet, would lie on."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    return shutil.disk_usage(there).free
