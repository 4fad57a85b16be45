"""Forecast the memory of a run before anything is allocated. Tests: tests/blueprint/test_show.py."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path as FilePath

from composer.blueprint.forecast.clock import lengths_of
from composer.blueprint.forecast.firings import injections_by_role, most_injections
from composer.blueprint.forecast.growth import grown_outlines
from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.positions import Path
from composer.environments.interface import EnvironmentInfo
from composer.networks.outline import Outline
from composer.optim import Optimizer

FLOAT = 4
"""Bytes of a number: all large tensors are float32."""
INTEGER = 8
"""Bytes of a counter, or of the key of a random stream."""

_CGROUP = FilePath("/sys/fs/cgroup")


@dataclass(frozen=True)
class NetworkBytes:
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
    """Growth of all of the above by planned injections, units and blocks, or by a twin."""
    anchors: int = 0
    """What penalties and interventions keep, such as first draws of parameters."""

    @property
    def total(self) -> int:
        """Their sum."""
        own = self.parameters + self.buffers + self.gradients + self.optimizer + sum(self.averages.values())
        return own + self.injections + self.anchors


@dataclass(frozen=True)
class Forecast:
    """Bytes that a run allocates for its lifetime, all seeds together."""

    networks: Mapping[str, NetworkBytes]
    """By role."""
    transitions: int
    """Transitions that are kept."""
    in_memory: int
    """Bytes per transition that are in memory with every ``replay.storage``."""
    movable: int
    """Bytes per transition that are on disk with ``replay.storage = "disk"``, else in memory."""
    is_on_disk: bool = False
    replay_key: Path = ("replay", "capacity")
    """The key that decides how many transitions are kept."""
    algorithm: int = 0
    """Tensors that the algorithm keeps beside networks."""
    data_transitions: int = 0
    """Transitions of a data set, which all seeds share."""

    @property
    def data(self) -> int:
        """Memory of the data set, which is kept where the replay is."""
        return self.data_transitions * (self.in_memory + (0 if self.is_on_disk else self.movable))

    @property
    def replay(self) -> int:
        """Memory of the transitions, without what is on disk."""
        return self.transitions * (self.in_memory + (0 if self.is_on_disk else self.movable))

    @property
    def disk(self) -> int:
        """Files of the run directory that hold the replay during the run; checkpoints are not counted."""
        return (self.transitions + self.data_transitions) * self.movable if self.is_on_disk else 0

    @property
    def total(self) -> int:
        """All memory; that of a GPU is counted as if it were the host's."""
        return sum(held.total for held in self.networks.values()) + self.replay + self.data + self.algorithm

    def on_disk(self) -> Forecast:
        """The same run with its replay on disk."""
        return replace(self, is_on_disk=True)

    def parts(self) -> dict[Path, int]:
        """Bytes by the key of the blueprint that decides them."""
        networks: dict[Path, int] = {("networks", role): held.total for role, held in self.networks.items()}
        data: dict[Path, int] = {("environment", "data"): self.data} if self.data_transitions else {}
        return {self.replay_key: self.replay, **data, **networks, ("algorithm", "kind"): self.algorithm}


def forecast(blueprint: Blueprint) -> Forecast:
    """Bytes of networks and replay, computed once and kept with the blueprint; activations are not counted.

    A network takes four bytes per parameter and per entry of its statistics, as many again for each average of it, and
    for each trainable parameter those of its gradient and of every optimizer moment; times copies and seeds. A
    transition takes two observations (of pictures: one frame), an action, a reward and two flags. On disk are all of
    these; of pictures, the frames. What is declared is counted: a run too short to fill its replay allocates less. An
    injection that a metric may repeat without limit counts once. A network without an outline counts as nothing.
    """
    if "memory" not in blueprint.derived:
        blueprint.derived["memory"] = _forecast(blueprint)
    found: Forecast = blueprint.derived["memory"]
    return found


def _forecast(blueprint: Blueprint) -> Forecast:
    info, sampling = blueprint.environment.info, blueprint.replay.sampling
    movable, in_memory = FLOAT * (2 * math.prod(info.observation) + info.action_size + 3), 0
    if info.pictures:  # One frame of one byte per pixel; numbers; and the index at which the episode begins.
        movable = math.prod(info.observation) // max(info.stacked_frames, 1)
        in_memory = FLOAT * (info.action_size + 3) + INTEGER
    in_memory += INTEGER if sampling.has_priorities else 0
    in_memory += FLOAT * blueprint.algorithm.update_schedule(info).remembered
    found = Forecast(
        _networks(blueprint),
        transitions_held(blueprint) * len(blueprint.seeds),
        in_memory,
        movable,
        is_on_disk=blueprint.replay.storage == "disk",
        data_transitions=blueprint.environment.data_size() or 0,
        algorithm=sum(each.bytes for each in blueprint.algorithm.state_tensors(info).values()) * len(blueprint.seeds),
    )
    if blueprint.algorithm.learns_on_policy:
        key = ("algorithm", "rollout_interactions")
        return replace(found, in_memory=in_memory + movable, movable=0, is_on_disk=False, replay_key=key)
    return found


def allocated(blueprint: Blueprint) -> Forecast:
    """The forecast for the transitions that a run stores: it may be too short to fill its replay."""
    return replace(forecast(blueprint), transitions=transitions_allocated(blueprint) * len(blueprint.seeds))


def transitions_held(blueprint: Blueprint) -> int:
    """Transitions of one seed that are kept: those of the replay or of a rollout; none of labelled data."""
    environment, plan = blueprint.environment, blueprint.algorithm.rollout_plan
    if not environment.is_simulator:
        return 0
    if plan is None:
        acts = not environment.learns_from_data or environment.own_interactions(lengths_of(blueprint).interaction)
        return blueprint.replay.capacity if acts else 0
    # Of a full ring of pictures the oldest rows are frames alone.
    frames = max(environment.info.stacked_frames, 1) if environment.info.pictures else 0
    return (plan.interactions + frames) * environment.copies_per_seed


def transitions_allocated(blueprint: Blueprint) -> int:
    """Transitions of one seed that are allocated: a replay that never fills is no larger than the run.

    A ring that does not wrap draws the same at every size. One of pictures needs room for a stack of frames, though.
    """
    environment, held = blueprint.environment, transitions_held(blueprint)
    if not environment.is_simulator or blueprint.algorithm.learns_on_policy:
        return held
    rows = environment.own_interactions(lengths_of(blueprint).interaction)
    return min(held, max(rows, fewest_rows(environment.info)) * environment.copies_per_seed)


def fewest_rows(info: EnvironmentInfo) -> int:
    """Transitions of one environment that a replay has to hold: of pictures, one more than frames in a stack."""
    return max(info.stacked_frames, 1) + 1 if info.pictures else 1


def _networks(blueprint: Blueprint) -> dict[str, NetworkBytes]:
    averaged, grown = blueprint.averaged_networks, _injections(blueprint)
    anchors = _kept(blueprint)
    found = {role: NetworkBytes() for role in blueprint.outlines}
    for role, outline in blueprint.sound_outlines.items():
        copies, optimizer = blueprint.networks[role].copies * len(blueprint.seeds), blueprint.optimizers.get(role)
        parameters = outline.count() * copies * FLOAT
        sizes = (plan.count * (FLOAT if plan.kind == "statistic" else INTEGER) for _, plan in outline.named_buffers())
        buffers = sum(sizes) * copies
        trained = outline.count(trainable_only=True) * copies * FLOAT if optimizer else 0
        own = NetworkBytes(
            parameters=parameters,
            buffers=buffers,
            gradients=trained,
            optimizer=_optimizer_entries(optimizer, outline) * copies * FLOAT if optimizer else 0,
            averages={name: parameters + buffers for name, of in averaged.items() if of == role},
            injections=(grown.get(role, 0) + _grown(blueprint, role)) * copies,
            anchors=anchors.get(role, 0) * copies,
        )
        has_twin = any(each.do.needs_twin for each in blueprint.interventions.values())
        found[role] = replace(own, injections=own.total - own.anchors) if has_twin else own
    return found


def _optimizer_entries(optimizer: Optimizer, outline: Outline) -> int:
    """Numbers that an optimizer keeps for one copy of a network."""
    return optimizer.entries({path: plan.shape for path, plan in outline.named_parameters() if plan.trainable})


def _injections(blueprint: Blueprint) -> dict[str, int]:
    """Bytes of one copy, by role: each injection adds one or two terms to the network and to each average of it.

    The number of trained parameters stays, except where earlier terms go on being trained, or where each seed is
    injected at a time of its own: a term that is frozen for one seed is then trained for another.
    """
    outlines, lengths, found = blueprint.trained_outlines, lengths_of(blueprint), {}
    for role, name in injections_by_role(blueprint.interventions, outlines).items():
        each, optimizer = blueprint.interventions[name], blueprint.optimizers.get(role)
        growth, paths = each.do.growth, dict(outlines[role].named_parameters())
        assert growth is not None
        chosen = [paths[path] for _, path in each.where.select(outlines)]
        size, trained = (sum(plan.count for plan in chosen if plan.trainable >= only) for only in (False, True))
        terms = 2 if growth.has_twin else 1
        networks = 1 + [*blueprint.averaged_networks.values()].count(role)
        alone = each.when.is_per_seed(lengths) and len(blueprint.seeds) > 1
        more = trained * (1 + optimizer.moments()) if optimizer and (alone or not growth.freezes_original) else 0
        times = most_injections(each.when, lengths, blueprint.environment.stride)
        found[role] = times * (size * terms * networks + more) * FLOAT
    return found


def _grown(blueprint: Blueprint, role: str) -> int:
    """Bytes that one copy has more at the end of the run: parameters, their gradients and moments, and averages."""
    outline = grown_outlines(blueprint).get(role)
    if outline is None:
        return 0
    first, optimizer = blueprint.sound_outlines[role], blueprint.optimizers.get(role)
    more, trained = (outline.count(only) - first.count(only) for only in (False, True))
    networks = 1 + [*blueprint.averaged_networks.values()].count(role)
    kept = _optimizer_entries(optimizer, outline) - _optimizer_entries(optimizer, first) if optimizer else 0
    return (more * networks + (trained + kept if optimizer else 0)) * FLOAT


def _kept(blueprint: Blueprint) -> Mapping[str, int]:
    """Bytes of one copy, by role: what penalties and interventions keep from update to update."""
    found: Counter[str] = Counter()
    outlines = blueprint.trained_outlines
    plans = {role: dict(outline.named_parameters()) for role, outline in outlines.items()}
    for each in blueprint.interventions.values():
        for (role, _), shape in each.do.memory(outlines, each.where.select(outlines)).items():
            found[role] += math.prod(shape) * 2 * FLOAT  # float64
    for penalty in blueprint.penalties.values():
        for role, path in penalty.chosen(outlines):
            plan = plans[role][path]
            kept = penalty.memory(plan)
            size = (plan.count if penalty.anchored else 0) + (0 if kept is None else math.prod(kept))
            found[role] += size * FLOAT if plan.trainable else 0
    return found


@cache
def available_bytes() -> int:
    """Memory available to this process: the machine's, or that of its control group where it is less."""
    import psutil

    available = int(psutil.virtual_memory().available)
    try:
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return available
    return min(available, max(limit - used, 0))


def disk_bytes(folder: FilePath) -> int:
    """Free space on the disk of a folder, which need not exist yet."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    return shutil.disk_usage(there).free
