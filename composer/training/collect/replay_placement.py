"""Where the replay of a run is kept: decided once, when it starts.

Tests: tests/training/test_replay_placement.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from composer.blueprint.forecast.memory import available_bytes, disk_bytes
from composer.replay.storage import StorageKind
from composer.spec.quantities import bytes_text

if TYPE_CHECKING:
    from composer.blueprint.forecast.memory import Forecast

SHARE = 0.8
"""Share of the free memory that ``auto`` plans with: the forecast leaves out activations, environments and others."""


@dataclass(frozen=True)
class ReplayPlacement:
    """Where the replay is kept, and why, in words for people."""

    storage: StorageKind
    reason: str

    def facts(self) -> dict[str, str]:
        """Its entries in ``run.json``: a resumed run does not choose again."""
        return {"replay_storage": self.storage, "replay_reason": self.reason}

    def provenance(self, device: str) -> dict[str, str]:
        """Its part of the provenance hash of a learner on ``device``: where batches are drawn, unless that is there."""
        return {} if device == "cpu" or self.storage == "device" else {"batches_drawn_on": "cpu"}


def recorded_placement(facts: Mapping[str, Any]) -> ReplayPlacement:
    """The placement in ``run.json``; older runs have none there, and keep their replay on the device."""
    return ReplayPlacement(facts.get("replay_storage", "device"), facts.get("replay_reason", "as runs of its time do"))


def choose_placement(
    requested: Literal["auto", "device", "host", "disk"], needs: Forecast, device: str, directory: Path
) -> ReplayPlacement:
    """The placement for a learner on ``device`` and a run directory under ``directory``.

    ``requested`` is ``replay.storage``. ``auto`` takes the device where all that ``needs`` counts fits its free memory,
    else the host, else the disk. On a CPU no number depends on it; on a GPU the random numbers that draw batches do.
    Raises OSError where the disk is too small.
    """
    found, disk, left = _placement(requested, needs, device), needs.on_disk().disk, disk_bytes(directory)
    if found.storage == "disk" and disk > left:
        raise OSError(
            f"replay.capacity: the replay needs {bytes_text(disk)} on disk ({found.reason}), and {directory} has"
            f" {bytes_text(left)} left; nothing was written"
        )
    return found


def _placement(requested: Literal["auto", "device", "host", "disk"], needs: Forecast, device: str) -> ReplayPlacement:
    if requested != "auto":
        return ReplayPlacement(requested, f"replay.storage is '{requested}'")
    whole, room, memory = bytes_text(needs.total), _free(device), available_bytes()
    if needs.total <= SHARE * room:
        return ReplayPlacement("device", f"{whole} of {bytes_text(room)} that are free where updates run")
    if device != "cpu" and needs.replay + needs.data <= SHARE * memory:
        return ReplayPlacement("host", f"{whole} are too much for {bytes_text(room)} that are free on the GPU")
    if needs.on_disk().disk:
        return ReplayPlacement("disk", f"{whole} are too much for {bytes_text(memory)} of memory that are free")
    return ReplayPlacement("device", "there is no replay that could be kept elsewhere")


def _free(device: str) -> int:
    """Free bytes where updates run."""
    return available_bytes() if device == "cpu" else torch.cuda.mem_get_info(device)[0]
