"""Placing: where the replay of a run lies, decided once, when it starts.

Tests: tests/training/test_replay_placement.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from composer.blueprint.forecast.memory import available_bytes, disk_bytes, forecast, transitions_allocated
from composer.replay.storage import Kind
from composer.spec.quantities import bytes_text

if TYPE_CHECKING:
    from composer.blueprint import Blueprint

SHARE = 0.8
"""Of the memory that is free when a run starts, what ``auto`` plans with: activations and environments are not counted,
and others want some."""


@dataclass(frozen=True)
class Place:
    """Where the replay lies, and the reason in words for people."""

    storage: Kind
    reason: str

    def facts(self) -> dict[str, str]:
        """For ``run.json``: a run that is resumed does not choose again."""
        return {"replay_storage": self.storage, "replay_reason": self.reason}

    def decides(self, device: str) -> dict[str, str]:
        """What numbers of a learner on ``device`` follow from it: where batches are drawn, if that is elsewhere."""
        return {} if device == "cpu" or self.storage == "device" else {"batches_drawn_on": "cpu"}


def recorded(facts: Mapping[str, Any]) -> Place:
    """What ``run.json`` says; before it said so, there was one choice."""
    return Place(facts.get("replay_storage", "device"), facts.get("replay_reason", "as runs of its time do"))


def place(blueprint: Blueprint, device: str, directory: Path) -> Place:
    """As ``replay.storage`` says, for a learner on ``device`` and a run directory under ``directory``.

    ``auto`` takes the device where the whole forecast fits its free memory, else the host, else the disk. On a CPU no
    number follows from it; on a GPU the random numbers that draw batches do. OSError where the disk has no room.
    """
    needs = replace(forecast(blueprint), transitions=transitions_allocated(blueprint) * len(blueprint.seeds))
    disk = needs.on_disk().disk
    asked = blueprint.replay.storage
    if asked != "auto":
        found = Place(asked, f"replay.storage is '{asked}'")
    elif needs.total <= SHARE * (room := _free(device)):
        found = Place("device", f"{bytes_text(needs.total)} of {bytes_text(room)} that are free where updates run")
    elif device != "cpu" and needs.replay <= SHARE * available_bytes():
        found = Place("host", f"{bytes_text(needs.total)} are too much for {bytes_text(room)} that are free on the GPU")
    elif disk:
        memory = bytes_text(available_bytes())
        found = Place("disk", f"{bytes_text(needs.total)} are too much for {memory} of memory that are free")
    else:
        found = Place("device", "there is no replay that could lie elsewhere")
    left = disk_bytes(directory)
    if found.storage == "disk" and disk > left:
        raise OSError(
            f"replay.capacity: the replay needs {bytes_text(disk)} on disk ({found.reason}), and {directory} has"
            f" {bytes_text(left)} left; nothing was written"
        )
    return found


def _free(device: str) -> int:
    """Bytes where updates run."""
    return available_bytes() if device == "cpu" else torch.cuda.mem_get_info(device)[0]
