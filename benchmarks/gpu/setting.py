"""The setting of a piece: device, scale, time and folders. Tests: tests/benchmarks/test_gpu.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch

from composer.training.compile.capture import Choice

Scale = Literal["full", "toy"]
T = TypeVar("T")

SHARE = 0.75
"""Share of a piece's minutes for its work; starting, compiling and saving take the rest."""


@dataclass(frozen=True)
class Setting:
    """One call of the suite; sent to the process of a piece."""

    device: str
    scale: Scale
    minutes: float
    """Time limit of a piece."""
    out: Path
    """Folder of results, one JSON file per piece."""
    runs: Path
    """Folder of training runs, from which learning continues."""
    compiles: bool
    """Whether captured updates are compiled; on CUDA they are then graphs."""
    published: Path | None = None
    """A CSV file of published results."""
    command: str = ""
    """The command line."""

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a CUDA device."""
        return self.device.startswith("cuda")

    def sized(self, full: T, toy: T) -> T:
        """The value for the scale."""
        return full if self.scale == "full" else toy

    def captured(self) -> Choice:
        """How the fastest update is computed: eager where nothing is compiled."""
        return Choice(self.compiles, "the suite compares them")

    def seconds(self) -> float:
        """Working time of a piece."""
        return 60 * SHARE * self.minutes

    def settle(self) -> None:
        """Wait until the device is idle."""
        if self.on_gpu:
            torch.cuda.synchronize()


EAGER = Choice(False, "the suite compares them")


def machine(device: str) -> dict[str, Any]:
    """Versions, processor and, where there is one, the GPU."""
    from benchmarks.speed.machine import describe_machine

    facts = describe_machine()
    if device.startswith("cuda"):
        found = torch.cuda.get_device_properties(device)
        facts |= {
            "gpu": found.name,
            "gpu_memory_gib": round(found.total_memory / 2**30, 1),
            "gpu_multiprocessors": found.multi_processor_count,
            "cuda": torch.version.cuda,
        }
    return facts
