"""How much memory a run will take, counted before anything is allocated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path as FilePath

from composer.blueprint.positions import Path
from composer.blueprint.schema import Blueprint
from composer.shapes import Outline, ShapeError

FLOAT = 4
"""Bytes of a number: everything that is large is float32."""

_CGROUP = FilePath("/sys/fs/cgroup")


@dataclass(frozen=True)
class Forecast:
    """Bytes that a run allocates for its lifetime, all seeds together."""

    networks: Mapping[str, int]
    """Parameters, gradients, optimizer moments and averages, by role."""
    replay: int
    """The memory of transitions."""

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self.networks.values()) + self.replay

    def parts(self) -> dict[Path, int]:
        """Bytes by the key of the blueprint that decides them."""
        networks: dict[Path, int] = {("networks", role): size for role, size in self.networks.items()}
        return {("replay", "capacity"): self.replay, **networks}


def outlines(blueprint: Blueprint) -> dict[str, Outline | ShapeError]:
    """The outline of one copy of each network that the algorithm knows, or why it has none."""
    info = blueprint.environment.describe()
    found: dict[str, Outline | ShapeError] = {}
    for role, shape in blueprint.algorithm.network_inputs(info).items():
        if role in blueprint.networks:
            try:
                found[role] = blueprint.networks[role].outline(shape, info.action_size)
            except ShapeError as error:
                found[role] = error
    return found


def forecast(blueprint: Blueprint) -> Forecast:
    """Bytes of networks and replay; activations are not counted. A network without an outline counts as nothing.

    A network of n parameters takes ``4 n`` bytes for itself, for its gradient, for each optimizer moment and for each
    average, times copies and seeds. A transition takes two observations, an action, a reward and two flags. What
    is declared is counted: a run too short to fill its replay allocates less.
    """
    seeds = len(blueprint.seeds)
    networks = {}
    for role, outline in outlines(blueprint).items():
        optimizer = blueprint.optimizers.get(role)
        held = 2 + optimizer.moments() if optimizer else 1
        held += sum(average.of == role for average in blueprint.averages.values())
        count = outline.count() if isinstance(outline, Outline) else 0
        networks[role] = count * held * blueprint.networks[role].copies * seeds * FLOAT
    info = blueprint.environment.describe()
    row = 2 * math.prod(info.observation) + info.action_size + 3
    return Forecast(networks, blueprint.replay.capacity * row * seeds * FLOAT)


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
